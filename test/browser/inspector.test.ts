/**
 * The inspector's page in a real Chromium over `coterie cluster`: what every view shows is what the
 * cluster's own status says, faults do what they say, the tour plays, nothing is loaded from outside.
 *
 * Needs Debian's chromium; run by .ci/run, not by npm test.
 */
import * as assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Browser, Locator, Page } from 'playwright-core';
import { suite } from 'uvu';
import { launchChromium } from '../../bench/support/chromium.ts';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import type { Status } from '../../src/index.ts';

const inspector = suite('the page of the inspector');
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const PAGE = fileURLToPath(new URL('../../src/inspector/page/', import.meta.url));
const GZIPPED_BYTES_MAX = 60_000;
const DEADLINE_MS = 20_000;

type Ready = {
  readonly nodes: readonly {
    readonly id: string;
    readonly url: string;
    readonly inspector: string;
  }[];
};

const cleanups: (() => Promise<unknown>)[] = [];
let ready: Ready;
let browser: Browser;
let page: Page;
let client: Client;
/** Whatever the page complained of, and every address it asked for. */
let complaints: string[] = [];
let addresses: string[] = [];

inspector.before(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'coterie-page-'));
  const flags = ['--nodes', '3', '--port', '0', '--data', dir, '--json', '--log-level', 'error'];
  const cluster = fork(MAIN, ['cluster', ...flags, '--allow-faults', '--show-values'], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  cleanups.push(async () => {
    const gone = new Promise((resolve) => cluster.once('exit', resolve));
    cluster.kill('SIGTERM');
    await gone;
    rmSync(dir, { recursive: true, force: true });
  });
  ready = JSON.parse(
    await new Promise<string>((resolve, reject) => {
      cluster.stdout!.once('data', (text: Buffer) => resolve(text.toString()));
      cluster.once('exit', (code) => reject(new Error(`the cluster ended with ${code}`)));
    }),
  ) as Ready;
  client = connect(ready.nodes.map(({ url }) => url));
  cleanups.push(() => client.close());
  browser = await launchChromium();
  cleanups.push(() => browser.close());
});

inspector.after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

inspector.before.each(async () => {
  complaints = [];
  addresses = [];
  page = await open({ width: 1280, height: 860 });
});

inspector.after.each(async () => {
  await page.context().close();
  assert.deepEqual(complaints, []);
  const own = new URL(ready.nodes[0]!.inspector).host;
  assert.deepEqual(
    addresses.filter(
      (address) => !/^(?:blob|data):/.test(address) && new URL(address).host !== own,
    ),
    [],
  );
});

const open = async (viewport: { width: number; height: number }): Promise<Page> => {
  const context = await browser.newContext({ viewport });
  const opened = await context.newPage();
  opened.setDefaultTimeout(DEADLINE_MS);
  opened.on('pageerror', (error) => complaints.push(error.message));
  opened.on('console', (message) => {
    const lost = /ERR_CONNECTION|WebSocket/.test(message.text());
    if (message.type() === 'error' && !lost) complaints.push(message.text());
  });
  opened.on('request', (request) => addresses.push(request.url()));
  await opened.goto(ready.nodes[0]!.inspector);
  await opened.waitForSelector('[data-chip=n1]:not(.silent)');
  return opened;
};

const view = (name: string): Promise<void> => page.click(`[data-view-button=${name}]`);
const panel = (name: string): Locator => page.locator(`[data-panel="${name}"]`);
const statusNow = async (): Promise<Status> => (await client.status()) as unknown as Status;

/** Waits until `place` says so. */
const says = (place: Locator, text: string | RegExp): Promise<void> =>
  place.filter({ hasText: text }).first().waitFor();

/** Runs in the page; the tests themselves know no DOM. */
const CONTRASTS = `(() => {
  const probe = document.body.appendChild(document.createElement('i'));
  const light = (name) => {
    probe.style.color = 'var(' + name + ')';
    const [r, g, b] = getComputedStyle(probe)
      .color.match(/[\\d.]+/g)
      .map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const pairs = ['ink panel', 'muted panel', 'accent-ink accent'];
  for (const sign of ['bad', 'warn', 'good', 'sib']) pairs.push(sign + ' ' + sign + '-ground');
  return pairs.map((pair) => {
    const [a, b] = pair.split(' ').map((name) => light('--' + name)).sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  });
})()`;

inspector('ring, nodes and owners are what the cluster says of itself', async () => {
  const { nodes, partitions, n } = await statusNow();
  await says(panel('ring'), `${partitions} partitions, N = ${n}`);
  const legend = await page.locator('.legend').innerText();
  for (const { id, partitions: owned } of nodes) {
    assert.match(legend, new RegExp(`${id}\\s+zone default ${owned} partitions`));
    assert.match(await page.locator(`[data-member=${id}]`).innerText(), /healthy[^]*healthy/);
  }
  assert.equal(await page.locator('.ring .arc').count(), partitions * Math.min(n, nodes.length));
  assert.equal(await page.locator('.moves').getAttribute('data-moving'), '0');
});

inspector('one put is stepped through: arrows, states lit in its chart, quorum', async () => {
  await view('faults');
  const form = panel('write');
  await form.getByLabel('key').fill('stepped');
  await form.getByRole('button', { name: 'put' }).click();
  await says(form.locator('output'), 'applied');
  await form.getByRole('button', { name: 'show its steps' }).click();
  const chart = panel('story').locator('.chart');
  const lit = () => chart.getAttribute('data-state');
  await page.waitForSelector('[data-panel=story] .step:has-text("done, buried")');
  const writes = await page.locator('.step.is-arrow:has-text("write")').count();
  assert.equal(writes, 2);
  assert.equal(await page.locator('.step.lost').count(), 0);
  assert.equal(await lit(), 'done');
  await page.getByLabel('first step').click();
  assert.equal(await lit(), null);
  const seen = new Set<string>();
  const steps = await page.locator('.step').count();
  for (let i = 1; i < steps; i++) {
    await page.keyboard.press('ArrowRight');
    await page.waitForSelector(`.step.now[data-step="${i}"]`);
    const state = await lit();
    if (state !== null) seen.add(state);
  }
  assert.deepEqual([...seen], ['minting', 'writing', 'lingering', 'done']);
  assert.match(await page.locator('[data-count=acked]').innerText(), /acked 3 of W = 2/);
  assert.ok((await chart.locator('.state.lit').count()) === 1);
  await page.getByRole('button', { name: 'waterfall' }).click();
  assert.ok((await page.locator('.bar-row').count()) >= 4);
});

inspector('a request opened while it lingers goes on to its end by itself', async () => {
  await view('faults');
  const row = page.locator('[data-process=n3]');
  await row.getByRole('button', { name: 'pause' }).click();
  await says(row, 'paused');
  const form = panel('write');
  await form.getByLabel('key').fill('lingered');
  await form.getByRole('button', { name: 'put', exact: true }).click();
  await says(form.locator('output'), 'applied');
  await form.getByRole('button', { name: 'show its steps' }).click();
  await page.waitForSelector('[data-panel=story] .chart[data-state=lingering]');
  await page.waitForSelector('[data-panel=story] .step:has-text("done, buried")');
  await view('faults');
  await row.getByRole('button', { name: 'resume' }).click();
  await page.waitForSelector('[data-chip=n3]:not(.silent)');
});

inspector('a key with siblings shows the values and dots of each replica', async () => {
  for (const value of ['milk', 'eggs']) await client.put('diverged', value);
  await page.keyboard.press('/');
  await page.keyboard.type('diverged');
  await page.keyboard.press('Enter');
  await says(panel('key'), '2 siblings');
  const replica = page.locator('.replica', { hasText: '2 siblings' }).first();
  const dots = await replica
    .locator('.sibling')
    .evaluateAll((found) =>
      found.map((each) => (each as unknown as { dataset: { dot: string } }).dataset.dot),
    );
  assert.equal(new Set(dots).size, 2);
  assert.deepEqual((await replica.locator('q').allInnerTexts()).sort(), ['eggs', 'milk']);
  const { values } = await client.get('diverged');
  assert.equal(values.length, 2);
});

inspector('a slowed disk, a skewed clock and a cut link show, and heal', async () => {
  await view('faults');
  await page.getByLabel('disk of n2').selectOption('100');
  await page.getByLabel('clock of n3').selectOption('3600000');
  const link = page.locator('[data-link-of="n2 n3"]');
  await link.getByRole('button').click();
  await says(link, 'heal');
  await view('ring');
  await says(page.locator('[data-member=n2]'), /suspect|down/);
  await says(page.locator('[data-member=n3]'), /suspect|down/);
  await view('faults');
  assert.equal(await page.getByLabel('disk of n2').inputValue(), '100');
  await page.getByLabel('disk of n2').selectOption('0');
  await page.getByLabel('clock of n3').selectOption('0');
  await link.getByRole('button').click();
  await says(link, 'cut');
  await view('ring');
  for (const id of ['n2', 'n3']) {
    await says(page.locator(`[data-member=${id}]`), /healthy.*healthy|serving.*healthy/);
    await page
      .locator(`[data-member=${id}] :is(.suspect, .down)`)
      .first()
      .waitFor({ state: 'detached' });
  }
});

inspector('a node killed from the page: hints rise, and drain when it is back', async () => {
  await view('faults');
  const row = page.locator('[data-process=n3]');
  await row.getByRole('button', { name: 'kill' }).click();
  await says(row, 'dead');
  await view('ring');
  await page.waitForSelector('[data-chip=n3].silent');
  for (let i = 0; i < 24; i++) await client.put(`hinted:${i}`, 'x');
  const kept = page.locator('[data-hints]:not([data-hints="0"])');
  await kept.first().waitFor();
  await view('health');
  const debts = page.locator('[data-debts]', { hasText: /n3: \d+/ });
  await debts.first().waitFor();
  await view('faults');
  await row.getByRole('button', { name: 'start', exact: true }).click();
  await page.waitForSelector('[data-chip=n3]:not(.silent)');
  await view('ring');
  await kept.first().waitFor({ state: 'detached' });
  assert.deepEqual(
    (await statusNow()).nodes.map(({ hints }) => hints),
    [0, 0, 0],
  );
});

inspector('a paused node is silent, and the node that serves the page is known again', async () => {
  await view('faults');
  const row = page.locator('[data-process=n2]');
  await row.getByRole('button', { name: 'pause' }).click();
  await page.waitForSelector('[data-chip=n2].silent');
  await row.getByRole('button', { name: 'resume' }).click();
  await page.waitForSelector('[data-chip=n2]:not(.silent)');
  const own = page.locator('[data-process=n1]');
  assert.ok(await own.getByRole('button', { name: 'kill' }).isDisabled());
  await own.getByRole('button', { name: 'restart' }).click();
  await page.waitForSelector('.banner.bad');
  await page.waitForSelector('.banner.bad', { state: 'detached' });
  await page.waitForSelector('[data-chip=n1]:not(.silent)');
});

inspector('every long-lived actor has its chart, its state and its context', async () => {
  await view('actors');
  await page.waitForSelector('[data-actor="n2 writeBuffer"]');
  const names = await page
    .locator('tr[data-actor^="n2 "]')
    .evaluateAll((rows) =>
      rows.map((row) => (row as unknown as { dataset: { actor: string } }).dataset.actor.slice(3)),
    );
  assert.ok(names.length >= 8, names.join());
  for (const name of names) {
    await page.click(`[data-actor="n2 ${name}"]`);
    const chart = panel('actor').locator('.chart');
    await chart.locator('.state.lit').first().waitFor();
    assert.equal(await chart.getAttribute('data-machine'), name);
  }
  await page.getByRole('button', { name: 'show its context' }).click();
  await says(page.locator('.context'), '{');
});

inspector(
  'the log filters, pauses and exports what Perfetto and the page itself open',
  async () => {
    await view('log');
    await page.waitForSelector('[data-panel=log] tbody tr');
    await page.getByLabel('filter the log').fill('membership');
    await says(panel('log').locator('tbody'), 'gossip');
    await panel('log')
      .locator('tbody tr:not(.dropped)', { hasNotText: /membership/ })
      .first()
      .waitFor({ state: 'detached' });
    await page.getByLabel('which requests are recorded').selectOption('1');
    await page.getByRole('button', { name: 'pause' }).click();
    const before = await panel('log').locator('tbody').innerText();
    await view('requests');
    const heard = page.locator('tr[data-cause]', { hasText: 'while:paused' });
    // Until the page's wish to record everything has reached every node.
    while ((await heard.count()) === 0) await client.put('while:paused', 'x');
    await view('log');
    assert.equal(await panel('log').locator('tbody').innerText(), before);
    const saved = async (name: string): Promise<string> => {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name, exact: true }).click(),
      ]);
      return download.path();
    };
    const trace = JSON.parse(readFileSync(await saved('Perfetto'), 'utf8')) as {
      traceEvents: { ph: string }[];
    };
    assert.ok(trace.traceEvents.some(({ ph }) => ph === 'X'));
    const recording = await saved('JSON');
    await page.locator('input[type=file]').setInputFiles(recording);
    await says(page.locator('.banner'), 'Recording: exported');
    await page.getByRole('button', { name: 'back to the live cluster' }).click();
    await page.waitForSelector('.banner', { state: 'detached' });
  },
);

for (const scene of [0, 1, 2, 3, 4]) {
  inspector(`scene ${scene + 1} of the tour plays to its end`, async () => {
    await page.keyboard.press('t');
    const card = page.locator('.tour');
    await card.locator(`[data-scene="${scene}"]`).click();
    for (;;) {
      await page.waitForSelector('.tour:not([data-phase=doing])', { timeout: 6 * DEADLINE_MS });
      assert.equal(await card.getAttribute('data-phase'), 'ready', await card.innerText());
      const next = card.getByRole('button', { name: 'next', exact: true });
      if ((await next.count()) === 0) break;
      const step = await card.locator('[data-step-of]').getAttribute('data-step-of');
      await next.click();
      await page.waitForSelector(`[data-step-of="${Number(step) + 1}"]`);
    }
    await page.keyboard.press('Escape');
    await card.waitFor({ state: 'detached' });
  });
}

inspector('keys lead everywhere, and both themes have contrast', async () => {
  const views = ['ring', 'requests', 'actors', 'health', 'log', 'faults'];
  for (const [i, name] of views.entries()) {
    await page.keyboard.press(String(i + 1));
    await page.waitForSelector(`main[data-view=${name}]`);
  }
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const contrast = (await page.evaluate(CONTRASTS)) as number[];
    // WCAG 2, AA for text.
    for (const ratio of contrast) assert.ok(ratio >= 4.5, `${colorScheme}: ${contrast.join()}`);
  }
});

inspector('on a phone and at 1280 px nothing sticks out', async () => {
  for (const width of [390, 1280]) {
    await page.setViewportSize({ width, height: 844 });
    for (const name of ['ring', 'requests', 'actors', 'health', 'log', 'faults']) {
      await view(name);
      const wide = (await page.evaluate('document.documentElement.scrollWidth')) as number;
      assert.ok(wide <= width, `${name} is ${wide} px wide on ${width}`);
    }
  }
});

inspector('the page is small', () => {
  const bytes = readdirSync(PAGE)
    .map((name) => gzipSync(readFileSync(join(PAGE, name)), { level: 9 }).length)
    .reduce((sum, each) => sum + each, 0);
  assert.ok(bytes < GZIPPED_BYTES_MAX, `${bytes} bytes`);
});

inspector.run();

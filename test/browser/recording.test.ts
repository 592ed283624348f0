/**
 * A simulated run in the page, as `coterie simulate --inspect` writes it and `coterie inspect` serves
 * it: time runs both ways, and a broken run opens where it broke.
 *
 * Needs Debian's chromium; run by .ci/run, not by npm test.
 */
import * as assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { suite } from 'uvu';
import { launchChromium } from '../../bench/support/chromium.ts';
import type { Recording } from '../../src/inspector/records.ts';
import { cli } from '../live/harness.ts';

const recording = suite('recordings in the page');
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

const dir = mkdtempSync(join(tmpdir(), 'coterie-recording-'));
const file = join(dir, 'run.json');
const cleanups: (() => Promise<unknown>)[] = [];
let page: Page;
let run: Recording;

recording.before(async () => {
  const flags = ['--seed', '42', '--nodes', '3', '--operations', '30', '--inspect', file];
  const { code, stderr } = await cli(['simulate', ...flags]);
  assert.equal(code, 0, stderr);
  run = JSON.parse(readFileSync(file, 'utf8')) as Recording;
  const browser = await launchChromium();
  cleanups.push(() => browser.close());
  page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => process.stderr.write(`page: ${error.message}\n`));
});
recording.after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  rmSync(dir, { recursive: true, force: true });
});

/** The page that `coterie inspect` serves with `path` in it. */
const inspect = async (path: string): Promise<void> => {
  const child = fork(MAIN, ['inspect', path], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  cleanups.push(() => {
    child.kill('SIGTERM');
    return gone;
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.once('message', (message: { readonly url: string }) => resolve(message.url));
    child.once('exit', (code) => reject(new Error(`coterie inspect ended with ${code}`)));
  });
  await page.goto(url);
  await page.waitForSelector('.timeline');
};

const moveTo = (atMs: number): Promise<void> =>
  page.getByLabel('moment').evaluate((range, at) => {
    const input = range as unknown as { value: string; dispatchEvent(event: Event): void };
    input.value = String(at);
    input.dispatchEvent(new Event('input', { bubbles: true }));
  }, atMs);

recording('time runs both ways, and every view follows', async () => {
  await inspect(file);
  const founders = run.records.filter(
    ({ what, atMs }) => / starts/.test(what) && atMs === 0,
  ).length;
  assert.ok(founders >= 3);
  await page.click('[data-view-button=ring]');
  await moveTo(0);
  await page.waitForFunction(
    `document.querySelectorAll('.moment-nodes .tag.ok').length === ${founders}`,
  );
  const puts = run.records.filter(({ type, what }) => type === 'born' && what === 'put');
  // A little later than the records, for a range rounds.
  const [early, late] = [puts[2]!.atMs + 0.01, puts[20]!.atMs + 0.01];
  await page.click('[data-view-button=requests]');
  const shown = () => page.locator('tr[data-cause]').count();
  await moveTo(late);
  const later = await shown();
  await moveTo(early);
  await page.waitForFunction(`document.querySelectorAll('tr[data-cause]').length < ${later}`);
  const causes = new Set(
    run.records
      .filter(({ cause, atMs }) => cause !== undefined && atMs <= early)
      .map((r) => r.cause),
  );
  assert.equal(await shown(), causes.size);
  await page.click('[data-view-button=log]');
  assert.match(await page.locator('[data-panel=log] tbody tr').first().innerText(), / s/);
  await page.getByLabel('event after').click();
  const moment = Number(await page.getByLabel('moment').inputValue());
  const world = run.records.filter(({ actor }) => actor === 'world').map(({ atMs }) => atMs);
  assert.ok(world.some((at) => Math.abs(at - moment) < 0.01) && moment > early);
});

recording('a run that broke opens at that moment, at the request of its key', async () => {
  const story = run.stories.filter(({ machine }) => machine === 'put').at(-1)!;
  const brokenAtMs = story.bornAtMs + 1000;
  const broken = { atMs: brokenAtMs, key: story.key, message: 'an acknowledged write is lost' };
  const path = join(dir, 'broken.json');
  writeFileSync(path, JSON.stringify({ ...run, broken }));
  await inspect(path);
  await page.locator('.banner', { hasText: 'Broken: an acknowledged write is lost' }).waitFor();
  await page.locator('[data-panel=story]', { hasText: story.key }).waitFor();
  assert.ok(Math.abs(Number(await page.getByLabel('moment').inputValue()) - brokenAtMs) < 0.01);
  await moveTo(0);
  await page.getByRole('button', { name: 'where it broke' }).click();
  assert.ok(Math.abs(Number(await page.getByLabel('moment').inputValue()) - brokenAtMs) < 0.01);
});

recording('what is no recording is refused', async () => {
  const path = join(dir, 'other.json');
  writeFileSync(path, '{"format":"something else"}');
  const { code, stderr } = await cli(['inspect', path]);
  assert.equal(code, 3);
  assert.match(stderr, /other\.json is no recording/);
});

recording.run();

/** What an operator's tools read from a running node: health, metrics, and files that fit them. */
import * as assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { freePorts } from '../../src/cli/free-ports.ts';
import { startNode } from '../../src/index.ts';
import type { NodeOptions, RunningNode } from '../../src/index.ts';
import type { RequestSeen } from '../../src/inspector/records.ts';
import { tokenHash } from '../../src/node/clients/client-access.ts';

const admin = suite('health and metrics');
const dir = mkdtempSync(join(tmpdir(), 'coterie-admin-'));
admin.after(() => rmSync(dir, { recursive: true, force: true }));
const OPS = fileURLToPath(new URL('../../../src/ops', import.meta.url));

let folders = 0;
const withNode = async (
  options: Partial<NodeOptions>,
  task: (node: RunningNode, base: string) => Promise<void>,
): Promise<void> => {
  const dataDir = join(dir, `data-${folders++}`);
  const common = { dataDir, id: 'n1', admin: '127.0.0.1:0', logLevel: 'silent' } as const;
  const node = await startNode({ ...common, ...options });
  try {
    await task(node, node.inspectorUrl === undefined ? '' : new URL(node.inspectorUrl).origin);
  } finally {
    await node.stop();
  }
};

const DEADLINE_MS = 20_000;
const until = async (met: () => Promise<boolean>): Promise<void> => {
  const deadlineMs = performance.now() + DEADLINE_MS;
  while (!(await met())) {
    assert.ok(performance.now() < deadlineMs, 'in vain');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

/** A sample's name with its labels in order. */
const sorted = (sample: string): string =>
  sample.replace(/\{(.*)\}/, (_, labels: string) => `{${labels.split(',').sort().join()}}`);

/** Samples by name with their labels, and every name that has a help text. */
const parsed = (text: string) => {
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const helped = [...text.matchAll(/^# HELP (\S+) \S/gm)].map((match) => match[1]!);
  const byName = new Map(
    samples.map((line) => {
      const end = line.lastIndexOf(' ');
      return [sorted(line.slice(0, end)), Number(line.slice(end + 1))] as const;
    }),
  );
  const value = (name: string): number => {
    const found = byName.get(sorted(name));
    assert.ok(found !== undefined, `${name} is missing`);
    return found;
  };
  return { samples, helped: new Set(helped), value };
};

admin(
  'a node is alive at once, ready when it serves, and neither while nobody else has come',
  async () => {
    await withNode({}, async (_, base) => {
      assert.equal((await fetch(`${base}/livez`)).status, 200);
      await until(async () => (await fetch(`${base}/readyz`)).status === 200);
      assert.equal((await fetch(`${base}/startupz`)).status, 200);
      assert.equal((await fetch(`${base}/readyz`, { method: 'POST' })).status, 405);
    });
    await withNode({ seeds: ['ws://127.0.0.1:1'] }, async (_, base) => {
      assert.equal((await fetch(`${base}/livez`)).status, 200);
      const ready = await fetch(`${base}/readyz`);
      assert.deepEqual([ready.status, await ready.text()], [503, 'joining\n']);
      assert.equal((await fetch(`${base}/startupz`)).status, 503);
    });
  },
);

admin(
  'explaining a key tells the last requests on it, where an inspector remembers them',
  async () => {
    await withNode({}, async (node, base) => {
      await until(async () => (await fetch(`${base}/readyz`)).status === 200);
      const client = node.client();
      for (const value of ['a', 'b']) await client.put('twice', value);
      await client.get('twice');
      const explained = async (key: string) =>
        (await client.admin('key.explain', { key }))['requests'];
      // A coordinator is remembered once it is buried, after it lingered.
      await until(async () => ((await explained('twice')) as object[]).length > 0);
      const [{ cause, replyMs, bornAtMs, ...last }] = (await explained('twice')) as [RequestSeen];
      assert.deepEqual(last, { machine: 'get', outcome: 'value', why: 'siblings' });
      assert.match(cause, /^n1\.\d+$/);
      assert.ok(replyMs! < 5000 && Math.abs(Date.now() - bornAtMs) < 60_000);
      assert.deepEqual(await explained('other'), []);
    });
    await withNode({ admin: 'off' }, async (node) => {
      assert.equal((await node.client().admin('key.explain', { key: 'k' }))['requests'], null);
    });
  },
);

admin('a node that cannot have its admin port leaves nothing behind', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'coterie-admin-'));
  const [port] = await freePorts(1);
  const options: NodeOptions = { dataDir, listen: `127.0.0.1:${port}`, logLevel: 'silent' };
  try {
    await withNode({}, async (_, base) => {
      const taken = startNode({ ...options, admin: new URL(base).host });
      await assert.rejects(taken, /EADDRINUSE/);
    });
    const node = await startNode(options);
    await node.stop();
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

admin(
  'metrics count requests by outcome, sizes and siblings, each name with a help text',
  async () => {
    await withNode({}, async (node, base) => {
      await until(async () => (await fetch(`${base}/readyz`)).status === 200);
      const client = node.client();
      await client.put('k', 'four');
      await client.put('k', 'more than that');
      assert.equal((await client.get('k')).values.length, 2);
      await assert.rejects(client.put('k', 'v', { w: 9 }));
      const { samples, helped, value } = parsed(await (await fetch(`${base}/metrics`)).text());
      const count = (op: string, outcome: string, le = '') =>
        `coterie_request_duration_seconds_${le === '' ? 'count' : 'bucket'}{` +
        `${le === '' ? '' : `le="${le}",`}op="${op}",outcome="${outcome}",node="n1"}`;
      assert.equal(value(count('put', 'ok')), 2);
      assert.equal(value(count('put', 'ok', '+Inf')), 2);
      assert.equal(value(count('put', 'BAD_QUORUM')), 1);
      assert.equal(value(count('get', 'ok')), 1);
      assert.equal(value('coterie_value_bytes_sum{op="put",node="n1"}'), 18);
      assert.equal(value('coterie_get_siblings_bucket{le="1",node="n1"}'), 0);
      assert.equal(value('coterie_get_siblings_bucket{le="2",node="n1"}'), 1);
      assert.equal(value('coterie_state{state="serving",node="n1"}'), 1);
      assert.ok(value('coterie_storage_free_bytes{node="n1"}') > 0);
      for (const sample of samples) {
        const name = /^[a-z0-9_]+/i.exec(sample)![0].replace(/_(bucket|sum|count)$/, '');
        assert.ok(helped.has(name) || helped.has(/^[a-z0-9_]+/i.exec(sample)![0]), sample);
      }
    });
  },
);

/** What the text format of Prometheus forbids, as sentences. */
const faultsOf = (text: string): readonly string[] => {
  const faults: string[] = [];
  const types = new Map<string, string>();
  const seen = new Set<string>();
  const buckets = new Map<string, number>();
  let family = '';
  assert.ok(text.endsWith('\n'));
  for (const line of text.trimEnd().split('\n')) {
    const head = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (\S.*)$/.exec(line);
    if (line === '' || head?.[1] === 'HELP') continue;
    if (head !== null) {
      family = head[2]!;
      if (types.has(family)) faults.push(`${family} comes twice`);
      types.set(family, head[3]!);
      continue;
    }
    const sample =
      /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$/.exec(
        line,
      );
    if (sample === null) {
      faults.push(`no sample: ${line}`);
      continue;
    }
    const [, name, labels = '', value] = sample as unknown as [string, string, string?, string?];
    const isPart = types.get(family) === 'histogram' || types.get(family) === 'summary';
    const owner = isPart ? name.replace(/_(bucket|sum|count)$/, '') : name;
    if (owner !== family) faults.push(`${name} stands under ${family}`);
    if (Number.isNaN(Number(value)) && !/^(NaN|[+-]Inf)$/.test(value!)) faults.push(line);
    const series = `${name} ${labels.split(',').sort().join()}`;
    if (seen.has(series)) faults.push(`${series} comes twice`);
    seen.add(series);
    if (name.endsWith('_bucket')) {
      const rest = `${name} ${labels.replace(/le="[^"]*",?/, '')}`;
      if ((buckets.get(rest) ?? 0) > Number(value)) faults.push(`${line} is less than before`);
      buckets.set(rest, Number(value));
    }
  }
  return faults;
};

admin('metrics tell of peers, their clocks, comparisons and pages, in valid form', async () => {
  const [a, b] = (await freePorts(2)).map((port) => `127.0.0.1:${port}`) as [string, string];
  const common = { bootstrap: 'n1,n2', config: { exchangeIntervalMs: 100 } };
  await withNode({ ...common, listen: a, seeds: [`ws://${b}`] }, async (_, base) => {
    await withNode({ ...common, id: 'n2', listen: b, seeds: [`ws://${a}`] }, async () => {
      const wanted = [
        /^coterie_peer_clock_offset_seconds\{peer="n2",node="n1"\} (\S+)$/m,
        /^coterie_exchanges_total\{peer="n2",node="n1"\} [1-9]/m,
        /^coterie_exchange_equal_age_seconds\{peer="n2",node="n1"\} /m,
        /^coterie_storage_pages\{table="members",node="n1"\} [1-9]/m,
        /^coterie_storage_pages\{table="free",node="n1"\} \d/m,
        /^coterie_storage_entries\{table="meta",node="n1"\} [1-9]/m,
        /^coterie_background_slices\{node="n1"\} 100$/m,
      ];
      let text = '';
      await until(async () => {
        text = await (await fetch(`${base}/metrics`)).text();
        return wanted.every((each) => each.test(text));
      });
      assert.deepEqual(faultsOf(text), []);
      // One machine has one clock: what is left is the way of a message.
      const offset = Number(wanted[0]!.exec(text)![1]);
      assert.ok(Math.abs(offset) < 1, `${offset} s`);
    });
  });
});

admin('the dashboard and the alert rules name only metrics that exist', async () => {
  const texts = ['grafana-dashboard.json', 'alerts.yaml'].map((name) =>
    readFileSync(join(OPS, name), 'utf8'),
  );
  const dashboard = JSON.parse(texts[0]!) as { panels: { targets: { expr: string }[] }[] };
  assert.ok(dashboard.panels.length > 10);
  const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  const rules = [...texts[1]!.matchAll(/^ +expr: (.*)$/gm)].map((match) => match[1]!);
  assert.ok(rules.length > 5);
  await withNode({}, async (_, base) => {
    const { helped } = parsed(await (await fetch(`${base}/metrics`)).text());
    for (const text of [...expressions, ...rules]) {
      for (const [name] of text.matchAll(/\b(?:coterie|nodejs|process)_[a-z0-9_]+/g)) {
        const known = helped.has(name.replace(/_(bucket|sum|count)$/, '')) || helped.has(name);
        const withTls = name === 'coterie_certificate_expiry_timestamp_seconds';
        assert.ok(known || withTls, `${name} in ${text}`);
      }
    }
  });
});

admin(
  'inspector and metrics: remote address without token: 403; tokens of the operator open them [bad input 21c]',
  async () => {
    const entry = (name: string, roles: readonly string[]) => ({
      ...{ name, hash: tokenHash(nodeDigest, name), roles },
    });
    const tokensFile = join(dir, 'tokens.json');
    const tokens = [entry('watcher', ['read:none']), entry('boss', ['admin'])];
    writeFileSync(tokensFile, JSON.stringify({ tokens }));
    await withNode({ admin: '0.0.0.0:0', security: { tokensFile } }, async (_, base) => {
      const port = new URL(base).port;
      const status = async (path: string, token?: string): Promise<number> => {
        const headers: Record<string, string> =
          token === undefined ? {} : { authorization: `Bearer ${token}` };
        return (await fetch(`http://127.0.0.1:${port}${path}`, { headers })).status;
      };
      assert.deepEqual(
        [await status('/livez'), await status('/metrics'), await status('/metrics', 'wrong')],
        [200, 403, 403],
      );
      assert.deepEqual(
        [await status('/metrics', 'watcher'), await status('/inspector', 'watcher')],
        [200, 403],
      );
      assert.equal(await status('/inspector', 'boss'), 200);
    });
  },
);

admin.run();

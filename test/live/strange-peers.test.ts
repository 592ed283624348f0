/** Peers that say what cannot be, and one that comes back too late: real nodes, real sockets. */
import * as assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import { actorId, keyOfText, nodeId, partitionId, putId, startId } from '../../src/core/ids.ts';
import { encodeRecord } from '../../src/core/record-bytes.ts';
import { BLIND, EMPTY_RECORD, write } from '../../src/core/record.ts';
import { connect } from '../../src/client/index.ts';
import { startNode } from '../../src/index.ts';
import type { RunningNode } from '../../src/index.ts';
import { encodeRegisters } from '../../src/node/membership/register-book.ts';
import type { PeerMessage } from '../../src/wire/peer-messages.ts';
import { LiveCluster, cli } from './harness.ts';
import { greet, helloAs } from './stranger.ts';

const peers = suite('strange peers');
const dir = mkdtempSync(join(tmpdir(), 'coterie-strange-'));
let node: RunningNode;
peers.before(async () => {
  node = await startNode({
    ...{
      dataDir: join(dir, 'n1'),
      id: 'n1',
      bootstrap: 'n1',
      logLevel: 'silent',
      admin: '127.0.0.1:0',
    },
    partitions: 16,
  });
});
peers.after(async () => {
  await node.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** A peer called n9 that was let in, and has said its first word. */
const linkedPeer = async () => {
  const { cluster } = node.status();
  const side = await greet(node.url, helloAs('n9', cluster), []);
  await side.say({ type: 'round.at', round: 0, floor: 0, entered: 0, forgotten: 0 });
  return side;
};

const metrics = async (): Promise<string> =>
  (await fetch(new URL('/metrics', node.inspectorUrl))).text();

/** How often nonsense of each kind was passed over. */
const nonsense = async (): Promise<Record<string, number>> => {
  const rows = (await metrics()).matchAll(
    /^coterie_peer_nonsense_total\{.*about="(\w+)".*\} (\d+)$/gm,
  );
  return Object.fromEntries([...rows].map(([, about, count]) => [about!, Number(count)]));
};

/** Says `messages`, and waits until the node has answered a ping that came behind them. */
const sayAll = async (...messages: PeerMessage[]): Promise<readonly PeerMessage[]> => {
  const side = await linkedPeer();
  await side.say(...messages, { type: 'ping', sentAtMs: 77 });
  for (let count = 1; ; count++) {
    const heard = await side.hears(count);
    if (heard === undefined) throw new Error(`the link ended: ${await side.closed}`);
    if (heard.type === 'pong' && heard.sentAtMs === 77) break;
  }
  side.end();
  return side.heard;
};

const ownership = async (): Promise<unknown> => {
  const client = connect(node.url);
  const status = await client.status();
  await client.close();
  return status['nodes'];
};

peers('an incarnation of 2^53 is passed over and counted [bad input 20a]', async () => {
  const before = await ownership();
  const lie = { node: nodeId('n1'), incarnation: 2 ** 53 - 1, address: 'ws://evil.example:1' };
  await sayAll({ type: 'gossip.known', known: {}, announcements: [lie], answer: false });
  assert.deepEqual(await ownership(), before);
  assert.equal((await nonsense())['incarnation'], 1);
});

peers(
  'a register of owners nobody knows, or of no partition, is passed over [bad input 20b]',
  async () => {
    const before = await ownership();
    for (const [partition, owner] of [
      [3, 'n9'],
      [16, 'n1'],
    ] as const) {
      const register = { version: 2 ** 53 - 1, owners: [nodeId(owner)] };
      const registers = encodeRegisters(new Map([[partitionId(partition), register]]));
      await sayAll({ type: 'registers.known', registers, answer: false });
    }
    assert.deepEqual(await ownership(), before);
    assert.equal((await nonsense())['register'], 2);
  },
);

peers('a hint for somebody unknown is kept for nobody but the owners [bad input 20c]', async () => {
  const minted = write(EMPTY_RECORD, BLIND, {
    ...{ actor: actorId(startId('f'.repeat(16)), 1), putId: putId('0'.repeat(16)), mode: 'causal' },
    ...{ value: new TextEncoder().encode('brought'), writtenAt: Date.now(), nowMs: Date.now() },
  });
  assert.ok(minted.type === 'minted');
  const record = encodeRecord(minted.record, 'with-values');
  const ask = { type: 'write', request: 5, key: keyOfText('hinted'), durable: true } as const;
  const heard = await sayAll({ ...ask, record, round: 0, hintFor: nodeId('nobody') });
  assert.ok(heard.every(({ type }) => type !== 'refused'));
  const kept = async (): Promise<boolean> => (await metrics()).includes('target="nobody"');
  assert.ok(await kept());
  const deadlineMs = performance.now() + 20_000;
  while (await kept()) {
    assert.ok(performance.now() < deadlineMs, 'a hint for nobody is still kept');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const client = connect(node.url);
  assert.deepEqual((await client.get('hinted')).texts(), ['brought']);
  await client.close();
});

peers('questions about no partition, branch or leaf get no answer [bad input 20d]', async () => {
  const heard = await sayAll(
    { type: 'branches.ask', request: 1, partition: 16 },
    { type: 'leaves.ask', request: 2, partition: 3, branch: 9999 },
    { type: 'records.ask', request: 3, partition: 3, leaves: [7, 7] },
    { type: 'records.ask', request: 4, partition: 3, leaves: [2 ** 53 - 1] },
    { type: 'branches.ask', request: 5, partition: 3 },
  );
  const answers = heard.filter(({ type }) => type === 'hashes' || type === 'records');
  assert.deepEqual(
    answers.map((answer) => 'request' in answer && answer.request),
    [5],
    'only what makes sense is answered',
  );
  assert.equal((await nonsense())['tree'], 4);
});

peers('an answer nobody asked for, said twice, changes nothing [bad input 20e]', async () => {
  const written = { type: 'written', request: 12, durable: true } as const;
  const heard = await sayAll(written, written, { type: 'delivered', batch: 7 });
  assert.ok(heard.every(({ type }) => type !== 'refused'));
  const client = connect(node.url);
  await client.put('after', 'it');
  assert.deepEqual((await client.get('after')).texts(), ['it']);
  await client.close();
});

peers('a retired id: told with 4410, it says why and exits with 5 [bad input 19c]', async () => {
  const cluster = await LiveCluster.start(3, ['--removed-return-ms', '1s', '--partitions', '8']);
  try {
    await cluster.kill('n3');
    const removed = await cli(['node', 'remove', 'n3', '--yes'], cluster.urlOf('n1'));
    assert.equal(removed.code, 0, removed.stderr);
    await cluster.until(({ nodes }) => nodes.length === 2);
    const { cluster: name } = (await statusOf(cluster.urlOf('n1'))) as { cluster: string };
    // The others count its time while they run: on a busy machine that takes as long as it takes.
    const deadlineMs = Date.now() + 30_000;
    for (let end = ''; end !== '4410 removed too long ago to come back';) {
      assert.ok(Date.now() < deadlineMs, `it is let in, or told ${end}`);
      const late = await greet(cluster.urlOf('n1'), helloAs('n3', name), []);
      const letIn = new Promise<string>((resolve) => setTimeout(resolve, 500, 'nothing'));
      end = await Promise.race([late.closed, letIn]);
      late.end();
    }

    const args = [
      'start',
      '--id',
      'n3',
      '--data',
      cluster.dataDir('n3'),
      '--listen',
      '127.0.0.1:0',
    ];
    const { code, stderr } = await cli([...args, '--seed', cluster.urlOf('n1')]);
    assert.equal(code, 5, stderr);
    assert.match(stderr, /n1 says that n3 was removed .* too long ago to come back/);
    const way = `empty ${cluster.dataDir('n3')}, start the node with another --id`;
    assert.ok(stderr.includes(way), stderr);
    assert.match(stderr, /coterie node join/);
    assert.ok(existsSync(join(cluster.dataDir('n3'), 'coterie.mdb')), 'its data stays for people');
  } finally {
    await cluster.end();
  }
});

const statusOf = async (url: string): Promise<unknown> => {
  const client = connect(url);
  try {
    return await client.status();
  } finally {
    await client.close();
  }
};

peers.run();

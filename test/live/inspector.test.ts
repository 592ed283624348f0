/** The inspector over three real nodes: one request is one story, nothing leaks, nobody is slowed. */
import * as assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWebSocketReceiver } from '@statelyai/inspect';
import type { StatelyInspectionEvent } from '@statelyai/inspect';
import { suite } from 'uvu';
import { startNode } from '../../src/index.ts';
import type { RunningNode } from '../../src/index.ts';
import type {
  Gauges,
  InspectionRecord,
  KeyPicture,
  RingPicture,
} from '../../src/inspector/records.ts';
import { connect } from '../../src/client/index.ts';
import { spansOf } from '../../src/inspector/spans.ts';
import { Viewer } from './viewer.ts';

type Cluster = { readonly nodes: readonly RunningNode[]; viewer: Viewer };

const SECRET = 'a-value-nobody-may-see';
const inspector = suite<Cluster>('inspector');
const dir = mkdtempSync(join(tmpdir(), 'coterie-inspector-'));

inspector.before(async (context) => {
  const ids = ['n1', 'n2', 'n3', 'n4'];
  const nodes: RunningNode[] = [];
  for (const id of ids) {
    nodes.push(
      await startNode({
        dataDir: join(dir, id),
        id,
        admin: '127.0.0.1:0',
        bootstrap: ids.join(','),
        seeds: nodes.map(({ url }) => url),
        logLevel: 'silent',
        // However slow this machine is: a replay cannot know that a timer was late.
        config: { patienceMs: 4000 },
      }),
    );
  }
  const viewer = await Viewer.open(nodes[0]!.inspectorUrl!);
  await viewer.until('all nodes are healthy', () => {
    const all = [...viewer.gauges.values()];
    const healthy = ({ status }: Gauges) =>
      status.nodes.every(({ health }) => health === 'healthy');
    return all.length === 4 && all.every(healthy);
  });
  viewer.close();
  Object.assign(context, { nodes });
});
inspector.before.each(async (context) => {
  context.viewer = await Viewer.open(context.nodes[0]!.inspectorUrl!);
});
inspector.after.each(({ viewer }) => viewer.close());
inspector.after(async ({ nodes }) => {
  await Promise.all(nodes.map((node) => node.stop()));
  rmSync(dir, { recursive: true, force: true });
});

const ofCause = (viewer: Viewer, cause: string) =>
  viewer.records.filter((record) => record.cause === cause);

const statesOf = (records: readonly InspectionRecord[], actor: string) =>
  records.filter((each) => each.actor === actor && each.type === 'state').map(({ state }) => state);

inspector(
  'one put is one story over every node it touched, and replays to the same states',
  async ({ nodes, viewer }) => {
    viewer.watch(1);
    await viewer.until('sampling', () =>
      [...viewer.gauges.values()].every(({ sampleEvery }) => sampleEvery === 1),
    );
    await nodes[1]!.client().put('story', SECRET);
    await viewer.until('the story is kept', () =>
      viewer.stories.some(({ key, machine }) => key === 'story' && machine === 'put'),
    );
    const story = viewer.stories.find(({ key, machine }) => key === 'story' && machine === 'put')!;
    await viewer.until('all three owners told', () => {
      const told = ofCause(viewer, story.cause).map(({ node }) => node);
      return new Set(told).size >= 3;
    });
    const records = ofCause(viewer, story.cause);
    const actor = `put ${story.request}`;
    const writes = records.filter(({ type, what }) => type === 'sent' && what === 'write');
    assert.equal(writes.length, 2);
    for (const { peer } of writes) {
      const heard = records.filter(
        ({ node, type, what }) => node === peer && type === 'heard' && what === 'write',
      );
      assert.equal(heard.length, 1, `${peer} heard the write once`);
    }
    const states = statesOf(records, actor);
    assert.deepEqual([states[0], states.at(-1)], ['minting', 'done']);
    assert.ok(states.includes('writing') && states.includes('lingering'));
    const replayed = (await viewer.ask(story.node, {
      type: 'story',
      cause: story.cause,
    })) as readonly InspectionRecord[];
    assert.deepEqual(statesOf(replayed, actor), states);
    const doings = (all: readonly InspectionRecord[]) =>
      all
        .filter((each) => each.actor === actor && (each.type === 'sent' || each.type === 'did'))
        .map(({ what, peer }) => `${what} ${peer ?? ''}`);
    assert.deepEqual(doings(replayed), doings(records));
    assert.doesNotMatch(viewer.everything, new RegExp(SECRET));
  },
);

inspector(
  'a key is shown as every replica holds it, siblings with their dots',
  async ({ nodes, viewer }) => {
    for (const value of [SECRET, `${SECRET} too`]) await nodes[0]!.client().put('cart', value);
    const pictures = (await Promise.all(
      nodes.map(({ id }) => viewer.ask(id, { type: 'key', key: 'cart' })),
    )) as KeyPicture[];
    const { preference } = pictures[0]!;
    const owners = preference.filter(({ role }) => role === 'owner').map(({ node }) => node);
    assert.equal(owners.length, 3);
    const coordinatorOrOwner = pictures.filter(({ held }) => held === 'record');
    assert.ok(coordinatorOrOwner.length >= 2);
    const full = coordinatorOrOwner.filter(({ siblings }) => siblings.length === 2);
    assert.ok(full.length >= 1);
    assert.equal(new Set(full[0]!.siblings.map(({ dot }) => dot)).size, 2);
    const ring = (await viewer.ask('n3', { type: 'ring' })) as RingPicture;
    const shown = ring.owners[pictures[0]!.partition]!.map((index) => ring.members[index]!.id);
    assert.deepEqual([...shown].sort(), [...owners].sort());
    assert.doesNotMatch(viewer.everything, new RegExp(SECRET));
  },
);

inspector(
  "a client's trace is recorded if the client records it, and its spans belong to it",
  async ({ nodes, viewer }) => {
    viewer.watch(0);
    await viewer.until('nobody samples', () => viewer.gauges.get('n2')?.sampleEvery === 0);
    const [trace, parent] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'];
    const client = connect(nodes[1]!.url);
    try {
      await client.put('traced', 'x', { traceparent: `00-${trace}-${parent}-00` });
      await client.get('traced', { traceparent: 'nonsense' });
      await client.put('traced', 'y', { traceparent: `00-${trace}-${parent}-01` });
    } finally {
      await client.close();
    }
    // What earlier tests left in the backlog is another story.
    const causes = () =>
      new Set(
        viewer.records.filter(({ facts }) => facts?.['key'] === 'traced').map(({ cause }) => cause),
      );
    const own = () => viewer.records.filter(({ cause }) => causes().has(cause));
    const spans = () =>
      spansOf(own()).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans[0]!.spans);
    await viewer.until('two replicas have told', () => {
      const replicas = spans().filter(({ name }) => name === 'replica write');
      return replicas.length >= 2;
    });
    assert.equal(causes().size, 1);
    assert.deepEqual([...new Set(spans().map(({ traceId }) => traceId))], [trace]);
    assert.equal(spans().filter(({ parentSpanId }) => parentSpanId === parent).length, 1);
  },
);

inspector('a scan is recorded like any other request', async ({ nodes, viewer }) => {
  viewer.watch(1);
  await viewer.until('sampling', () => viewer.gauges.get('n1')?.sampleEvery === 1);
  for await (const _ of nodes[0]!.client().scan()) break;
  const kept = () => viewer.stories.find(({ machine }) => machine === 'scan');
  await viewer.until('a scan is kept', () => kept() !== undefined);
  const { cause, node, request, key, why } = kept()!;
  // On a busy machine it is slow besides.
  assert.ok(why === 'sampled' || why === 'slow', why);
  assert.match(key, /^partition \d+$/);
  const replayed = (await viewer.ask(node, { type: 'story', cause })) as InspectionRecord[];
  const states = statesOf(ofCause(viewer, cause), `scan ${request}`);
  assert.deepEqual(statesOf(replayed, `scan ${request}`), states);
  assert.equal(states.at(-1), 'done');
});

inspector('a failed request leaves its story without sampling', async ({ nodes, viewer }) => {
  viewer.watch(0);
  await viewer.until('nobody samples', () => {
    const all = [...viewer.gauges.values()];
    return all.length === 4 && all.every(({ sampleEvery }) => sampleEvery === 0);
  });
  // No disk syncs on three nodes within a millisecond.
  await nodes[0]!
    .client()
    .put('kept', 'y', { w: 3, dw: 3, timeoutMs: 1 })
    .catch(() => undefined);
  await viewer.until('the failure is listed', () =>
    viewer.stories.some(({ why, key }) => why === 'failed' && key === 'kept'),
  );
  const { cause, node, machine } = viewer.stories.find(
    ({ why, key }) => why === 'failed' && key === 'kept',
  )!;
  const replayed = (await viewer.ask(node, { type: 'story', cause })) as InspectionRecord[];
  assert.equal(replayed[0]!.type, 'born');
  assert.ok(
    replayed.some(({ type, what }) => type === 'did' && what === 'reply'),
    machine,
  );
  assert.equal(ofCause(viewer, cause).length, 0);
});

inspector('a viewer that draws nothing is told less, and told so', async ({ nodes, viewer }) => {
  viewer.takesRecords = false;
  viewer.watch(1);
  const client = nodes[0]!.client();
  for (let round = 0; viewer.dropped === 0 && round < 400; round++) {
    await Promise.all(Array.from({ length: 32 }, (_, i) => client.put(`k${i}`, 'x', { dw: 0 })));
  }
  await viewer.until('dropped records are told', () => viewer.dropped > 0);
  assert.ok(viewer.records.length <= 6000);
});

inspector(
  'questions that cannot be answered are refused, and nonsense ends the socket',
  async ({ viewer }) => {
    for (const ask of [
      { type: 'key', key: '' },
      { type: 'story', cause: 'n1.1' },
      { type: 'context', actor: 'nobody' },
      { type: 'operate', operation: { type: 'put', key: 'k', value: 'v' } },
      { type: 'fault', fault: { type: 'kill', node: 'n2' } },
      { type: '__proto__' },
    ]) {
      await assert.rejects(viewer.ask('n1', ask as never), /refused/, JSON.stringify(ask));
      await assert.rejects(viewer.ask('n2', ask as never), /refused/, JSON.stringify(ask));
    }
    viewer.say('{"type":');
    assert.equal(await viewer.closed, 1008);
  },
);

inspector('when the last viewer leaves, nothing is sampled any more', async ({ nodes, viewer }) => {
  viewer.watch(1);
  await viewer.until('sampling', () => viewer.gauges.get('n2')?.sampleEvery === 1);
  viewer.close();
  const later = await Viewer.open(nodes[1]!.inspectorUrl!);
  later.watch(0);
  await later.until('not sampling', () => {
    return (
      later.gauges.size === 4 &&
      [...later.gauges.values()].every(({ sampleEvery }) => sampleEvery === 0)
    );
  });
  later.close();
});

// Last: the receiver has no way to hang up.
inspector("Stately's own receiver is told actors, events and states", async ({ nodes }) => {
  const server = nodes[0]!.inspectorUrl!.replace('http', 'ws');
  const heard: StatelyInspectionEvent[] = [];
  const complete = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(JSON.stringify(heard).slice(-2000))), 15_000);
    createWebSocketReceiver({ server: `${server}/stately` }).subscribe((event) => {
      heard.push(event);
      const types = new Set(heard.map(({ type }) => type));
      if (types.size < 3 || heard.length < 20) return;
      clearTimeout(timer);
      resolve();
    });
  });
  await complete;
  const told = new Set<string>();
  for (const event of heard) {
    if (event.type === '@xstate.actor') {
      told.add(event.sessionId);
      const { initial, states, type } = JSON.parse(event.definition!) as Record<string, unknown>;
      assert.ok(type === 'parallel' || initial !== undefined, event.name);
      assert.ok(Object.keys(states as object).length > 0, event.name);
    } else assert.ok(told.has(event.sessionId), `${event.sessionId} was never introduced`);
    if (event.type === '@xstate.snapshot') {
      const { value } = event.snapshot as { readonly value?: unknown };
      assert.ok(typeof value === 'string' || typeof value === 'object');
    }
  }
});

inspector.run();

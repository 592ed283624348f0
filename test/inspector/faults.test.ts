/** What the inspector breaks on purpose breaks as the real thing would, and heals. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { nodeId } from '../../src/core/ids.ts';
import { Faults } from '../../src/inspector/faults.ts';
import type { Fault, ProcessFault } from '../../src/inspector/records.ts';
import { withWriteLog } from '../../src/node/store/write-log.ts';
import type { Connection, ConnectionEvents, Links } from '../../src/ports/links.ts';
import { WorldClock, LifeClock } from '../../src/sim/clock.ts';
import { SimDisk } from '../../src/sim/disk.ts';
import { randomStream } from '../../src/sim/random.ts';
import { encodePeerFrame } from '../../src/wire/peer-codec.ts';

const faults = suite('faults on purpose');

const world = () => {
  const clock = new WorldClock();
  const life = new LifeClock(clock);
  return { clock, life, broken: new Faults(nodeId('n1'), life, undefined) };
};

const hello = (node: string): Uint8Array =>
  encodePeerFrame([
    {
      type: 'hello',
      protocol: 1,
      cluster: 'c',
      node: nodeId(node),
      start: '00'.repeat(8) as never,
    },
  ])[0]!;

/** One connection that the test speaks through. */
const wire = () => {
  const sent: Uint8Array[] = [];
  let inner: ConnectionEvents | undefined;
  const connection: Connection = {
    remote: 'elsewhere',
    send: (frame) => sent.push(frame),
    bufferedBytes: () => 0,
    close: () => undefined,
    terminate: () => undefined,
  };
  const links: Links = {
    dial: (_address, _purpose, events) => {
      inner = events;
      return connection;
    },
    listen: (accept) => {
      inner = accept(connection, 'peer');
    },
    close: (done) => done(),
  };
  return { sent, links, arrive: (frame: Uint8Array) => inner!.received(frame) };
};

faults('a cut link swallows frames both ways, as soon as it is known who is there', () => {
  const { broken } = world();
  const { sent, links, arrive } = wire();
  const heard: Uint8Array[] = [];
  const events: ConnectionEvents = {
    opened: () => undefined,
    received: (frame) => heard.push(frame),
    closed: () => undefined,
  };
  const connection = broken.links(links).dial('ws://n2', 'peer', events);
  const other = encodePeerFrame([{ type: 'ping' }])[0]!;
  arrive(hello('n2'));
  connection.send(other);
  assert.deepEqual([heard.length, sent.length], [1, 1]);
  assert.equal(broken.apply({ type: 'cut', peer: 'n2' }), undefined);
  arrive(other);
  connection.send(other);
  assert.deepEqual([heard.length, sent.length], [1, 1]);
  broken.apply({ type: 'heal', peer: 'n2' });
  arrive(other);
  connection.send(other);
  assert.deepEqual([heard.length, sent.length], [2, 2]);
});

faults('while a link is cut, a new connection gets no further than hello', () => {
  const { broken } = world();
  const { links, arrive } = wire();
  let heard = 0;
  broken.apply({ type: 'cut', peer: 'n2' });
  broken.links(links).listen(() => ({
    opened: () => undefined,
    received: () => (heard += 1),
    closed: () => undefined,
  }));
  arrive(hello('n2'));
  assert.equal(heard, 0);
  broken.apply({ type: 'heal', peer: 'n2' });
  arrive(hello('n2'));
  assert.equal(heard, 1);
});

faults('a slow disk answers late and in order, and closing waits for nobody', () => {
  const { clock, life, broken } = world();
  const disk = withWriteLog(new SimDisk().open(life, randomStream(1, 'disk')), nodeDigest);
  const storage = broken.storage(disk);
  assert.deepEqual(Object.keys(storage), Object.keys(disk), 'all that it can do');
  const done: string[] = [];
  const commit = (name: string): void =>
    storage.commit(
      [{ type: 'put', table: 'meta', key: new Uint8Array([1]), value: new Uint8Array([2]) }],
      ({ type }) => done.push(`${name} ${type}`),
    );
  broken.apply({ type: 'slow-disk', delayMs: 1000 });
  commit('slow');
  clock.advance(500);
  assert.deepEqual(done, []);
  assert.ok(storage.get('meta', new Uint8Array([1])));
  broken.apply({ type: 'slow-disk', delayMs: 0 });
  commit('fast');
  clock.advance(2000);
  assert.deepEqual(done, ['slow durable', 'fast durable']);
  commit('at once');
  clock.advance(100);
  assert.equal(done.length, 3);
});

faults('a skewed clock is off for people, not for timers', () => {
  const { life, broken } = world();
  const clock = broken.clock();
  assert.equal(broken.apply({ type: 'skew', skewMs: 60_000 }), undefined);
  assert.equal(clock.wallMs(), life.wallMs() + 60_000);
  assert.equal(clock.monotonicMs(), life.monotonicMs());
  assert.deepEqual(broken.view(), { cutTo: [], diskDelayMs: 0, skewMs: 60_000, processes: [] });
});

faults('what cannot be is refused in words', () => {
  const { broken } = world();
  for (const fault of [
    { type: 'cut', peer: 'n1' },
    { type: 'slow-disk', delayMs: -1 },
    { type: 'slow-disk', delayMs: 'long' },
    { type: 'skew', skewMs: 1e12 },
    { type: 'kill', node: 'n2' },
    { type: 'melt' },
  ]) {
    assert.match(broken.apply(fault as unknown as Fault)!, /\w/, JSON.stringify(fault));
  }
});

faults('whoever started the processes is told what to do with them', () => {
  const asked: ProcessFault[] = [];
  const { life } = world();
  const host = { apply: (fault: ProcessFault) => void asked.push(fault), states: () => [] };
  const broken = new Faults(nodeId('n1'), life, host);
  assert.equal(broken.apply({ type: 'wipe', node: 'n3' }), undefined);
  assert.deepEqual(asked, [{ type: 'wipe', node: 'n3' }]);
});

faults.run();

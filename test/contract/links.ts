/**
 * What every Links must do, as a function that each implementation runs: WebSockets on loopback and
 * the simulated network without its faults.
 */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { Connection, ConnectionEvents, LinkPurpose, Links } from '../../src/ports/links.ts';
import { randomStream } from '../../src/sim/random.ts';

export type LinksHarness = {
  /** Links of one more host; `address` is where it can be dialled once it listens. */
  open(): Promise<{ readonly links: Links; readonly address: string }>;
  /** An address where nobody listens. */
  readonly nowhere: string;
  /** Lets time pass until `met`; throws after a few seconds of it. */
  until(met: () => boolean): Promise<void>;
  end(): Promise<void>;
};

/** One end of a connection and everything that happened to it, in words and in order. */
export class Witness implements ConnectionEvents {
  readonly log: string[] = [];
  readonly frames: Uint8Array[] = [];
  connection: Connection | undefined;
  readonly purpose: LinkPurpose | undefined;

  constructor(connection?: Connection, purpose?: LinkPurpose) {
    this.connection = connection;
    this.purpose = purpose;
  }

  opened(): void {
    this.log.push('opened');
  }

  received(frame: Uint8Array): void {
    this.log.push('received');
    this.frames.push(Uint8Array.from(frame));
  }

  closed(code: number, reason: string): void {
    this.log.push(`closed ${code} ${reason}`.trim());
  }

  get isClosed(): boolean {
    return this.log.some((line) => line.startsWith('closed'));
  }

  get texts(): readonly string[] {
    return this.frames.map((frame) => new TextDecoder().decode(frame));
  }
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

type Pair = { readonly near: Witness; readonly far: Witness; readonly nearLinks: Links };

export const linksContract = (name: string, open: () => LinksHarness): void => {
  const links = suite(`links: ${name}`);
  const it = (claim: string, body: (harness: LinksHarness) => Promise<void>): void =>
    links(claim, async () => {
      const harness = open();
      try {
        await body(harness);
      } finally {
        await harness.end();
      }
    });

  const dial = (from: Links, address: string, purpose: LinkPurpose): Witness => {
    const witness = new Witness();
    witness.connection = from.dial(address, purpose, witness);
    return witness;
  };
  const listen = (links: Links): Witness[] => {
    const accepted: Witness[] = [];
    links.listen((connection, purpose) => {
      const witness = new Witness(connection, purpose);
      accepted.push(witness);
      return witness;
    });
    return accepted;
  };
  const pair = async (harness: LinksHarness, purpose: LinkPurpose = 'peer'): Promise<Pair> => {
    const [a, b] = [await harness.open(), await harness.open()];
    const accepted = listen(b.links);
    const near = dial(a.links, b.address, purpose);
    await harness.until(() => near.log.includes('opened') && accepted.length === 1);
    return { near, far: accepted[0]!, nearLinks: a.links };
  };
  const bothClosed =
    ({ near, far }: Pair): (() => boolean) =>
    () =>
      near.isClosed && far.isClosed;

  it('a dial opens later, never within the call, and tells its purpose', async (harness) => {
    const [a, b] = [await harness.open(), await harness.open()];
    const accepted = listen(b.links);
    const witnesses = (['peer', 'client'] as const).map((purpose) =>
      dial(a.links, b.address, purpose),
    );
    assert.deepEqual(
      witnesses.map(({ log }) => log),
      [[], []],
    );
    await harness.until(() => witnesses.every(({ log }) => log.length > 0));
    await harness.until(() => accepted.length === 2);
    assert.deepEqual(
      witnesses.map(({ log }) => log),
      [['opened'], ['opened']],
    );
    assert.deepEqual(accepted.map(({ purpose }) => purpose).sort(), ['client', 'peer']);
    assert.ok(accepted.every(({ connection }) => connection!.remote.length > 0));
  });

  it('frames arrive whole, in order, in both directions', async (harness) => {
    const { near, far } = await pair(harness);
    const random = randomStream(3, 'frames');
    const sent = Array.from({ length: 200 }, () => random.bytes(random.integer(300)));
    for (const frame of sent) {
      near.connection!.send(frame);
      far.connection!.send(frame);
    }
    await harness.until(() => near.frames.length === 200 && far.frames.length === 200);
    assert.deepEqual(near.frames, sent);
    assert.deepEqual(far.frames, sent);
  });

  it('a frame of 1 MiB arrives, and nothing stays buffered', async (harness) => {
    const { near, far } = await pair(harness, 'client');
    const frame = randomStream(4, 'large frame').bytes(1024 * 1024);
    near.connection!.send(frame);
    far.connection!.send(frame);
    await harness.until(() => near.frames.length === 1 && far.frames.length === 1);
    assert.deepEqual(near.frames[0], frame);
    assert.deepEqual(far.frames[0], frame);
    await harness.until(() => near.connection!.bufferedBytes() === 0);
    await harness.until(() => far.connection!.bufferedBytes() === 0);
  });

  it('the sender may reuse its bytes at once', async (harness) => {
    const { near, far } = await pair(harness);
    const frame = text('0');
    for (let i = 0; i < 9; i++) {
      frame[0] = 48 + i;
      near.connection!.send(frame);
      far.connection!.send(frame);
    }
    frame[0] = 120;
    await harness.until(() => near.frames.length === 9 && far.frames.length === 9);
    assert.equal(near.texts.join(''), '012345678');
    assert.equal(far.texts.join(''), '012345678');
  });

  it('an acceptor may speak first, and is heard after opened', async (harness) => {
    const [a, b] = [await harness.open(), await harness.open()];
    b.links.listen((connection) => {
      connection.send(text('welcome'));
      return new Witness(connection);
    });
    const near = dial(a.links, b.address, 'client');
    await harness.until(() => near.frames.length === 1);
    assert.deepEqual(near.log, ['opened', 'received']);
    assert.deepEqual(near.texts, ['welcome']);
  });

  it('close says code and reason to both ends, once, after what was sent before', async (harness) => {
    const ends = await pair(harness);
    ends.near.connection!.send(text('last words'));
    ends.near.connection!.close(4001, 'goodbye');
    ends.near.connection!.send(text('too late'));
    ends.near.connection!.close(4002, 'again');
    await harness.until(bothClosed(ends));
    assert.deepEqual(ends.far.log, ['received', 'closed 4001 goodbye']);
    assert.deepEqual(ends.near.log, ['opened', 'closed 4001 goodbye']);
    ends.near.connection!.send(text('to nobody'));
    ends.far.connection!.terminate();
    assert.equal(ends.near.connection!.bufferedBytes(), 0);
  });

  it('the accepting end may close as well', async (harness) => {
    const ends = await pair(harness, 'client');
    ends.far.connection!.close(1000, '');
    await harness.until(bothClosed(ends));
    assert.deepEqual(ends.near.log, ['opened', 'closed 1000']);
  });

  it('who said goodbye hears nothing more but the close', async (harness) => {
    const ends = await pair(harness);
    ends.far.connection!.send(text('under way'));
    ends.near.connection!.close(1000, '');
    ends.far.connection!.send(text('before it knows'));
    await harness.until(bothClosed(ends));
    assert.deepEqual(ends.near.log, ['opened', 'closed 1000']);
  });

  it('a reason that is too long is shortened, a code that may not be sent cuts', async (harness) => {
    const first = await pair(harness);
    first.near.connection!.close(4000, 'é'.repeat(200));
    await harness.until(bothClosed(first));
    assert.match(first.far.log.at(-1)!, /^closed 4000 é+$/);
    const second = await pair(harness);
    second.near.connection!.close(1006, '');
    await harness.until(bothClosed(second));
    assert.match(second.far.log.at(-1)!, /^closed 1006/);
  });

  it('terminate cuts at once, and both ends hear 1006', async (harness) => {
    for (const cutter of ['near', 'far'] as const) {
      const ends = await pair(harness);
      ends[cutter].connection!.terminate();
      assert.ok(!ends[cutter].isClosed, 'within the call');
      await harness.until(bothClosed(ends));
      for (const { log } of [ends.near, ends.far]) assert.match(log.at(-1)!, /^closed 1006/);
    }
  });

  it('a dial to nobody, or to no address at all, is closed with 1006, later', async (harness) => {
    const { links } = await harness.open();
    for (const address of [harness.nowhere, 'no address', '']) {
      const witness = dial(links, address, 'peer');
      witness.connection!.send(text('anyone?'));
      assert.deepEqual(witness.log, []);
      await harness.until(() => witness.isClosed);
      assert.equal(witness.log.length, 1);
      assert.match(witness.log[0]!, /^closed 1006/);
      witness.connection!.close(1000, '');
      witness.connection!.terminate();
      assert.equal(witness.connection!.bufferedBytes(), 0);
    }
  });

  it('a dial given up before it opened never opens', async (harness) => {
    const [a, b] = [await harness.open(), await harness.open()];
    const accepted = listen(b.links);
    for (const giveUp of ['close', 'terminate'] as const) {
      const witness = dial(a.links, b.address, 'peer');
      if (giveUp === 'close') witness.connection!.close(1000, 'changed my mind');
      else witness.connection!.terminate();
      await harness.until(() => witness.isClosed);
      assert.equal(witness.log.length, 1);
    }
    await harness.until(() => accepted.every(({ isClosed }) => isClosed));
  });

  it('many connections are independent of each other', async (harness) => {
    const [a, b] = [await harness.open(), await harness.open()];
    b.links.listen((connection) => {
      const witness = new Witness(connection);
      witness.received = (frame) => connection.send(frame);
      return witness;
    });
    const witnesses = Array.from({ length: 30 }, () => dial(a.links, b.address, 'client'));
    await harness.until(() => witnesses.every(({ log }) => log.length === 1));
    witnesses[7]!.connection!.terminate();
    witnesses.forEach(({ connection }, i) => connection!.send(text(`${i}`)));
    const others = witnesses.filter((_, i) => i !== 7);
    await harness.until(() => others.every(({ frames }) => frames.length === 1));
    await harness.until(() => witnesses[7]!.isClosed);
    witnesses.forEach(({ texts }, i) => assert.deepEqual(texts, i === 7 ? [] : [`${i}`]));
  });

  it('who closes its links closes each connection and is gone', async (harness) => {
    const [a, b, c] = [await harness.open(), await harness.open(), await harness.open()];
    const [atB, atC] = [listen(b.links), listen(c.links)];
    const toB = dial(a.links, b.address, 'peer');
    const fromB = dial(b.links, c.address, 'peer');
    await harness.until(() => atB.length === 1 && atC.length === 1);
    await harness.until(() => [toB, fromB].every(({ log }) => log.includes('opened')));
    let done = 0;
    b.links.close(() => (done += 1));
    assert.equal(done, 0);
    await harness.until(() => done === 1);
    assert.ok(fromB.isClosed && atB[0]!.isClosed, 'its own ends are closed when it is done');
    await harness.until(() => toB.isClosed && atC[0]!.isClosed);
    assert.match(toB.log.at(-1)!, /^closed 1001/);
    const late = dial(a.links, b.address, 'peer');
    await harness.until(() => late.isClosed);
    assert.match(late.log[0]!, /^closed 1006/);
    assert.equal(done, 1);
  });

  links.run();
};

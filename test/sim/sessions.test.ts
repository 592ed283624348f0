/** What a client has seen does not un-happen for it: sessions over a simulated cluster that splits. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { createClient } from '../../src/client/client.ts';
import type { ClientOptions } from '../../src/client/client.ts';
import { CoterieError } from '../../src/core/errors.ts';
import type { FinalReply } from '../../src/wire/client-messages.ts';
import { cluster } from './cluster.ts';

const sessions = suite('sessions');

/** Three nodes, n3 cut off, and clients that speak to whichever node the test says. */
const split = () => {
  const { world } = cluster();
  const [n1, n2, n3] = world.hosts.map(({ address }) => address.slice(5));
  const cut = (): void => {
    for (const other of [n1!, n2!]) {
      world.network.cut(other, n3!);
      world.network.cut(n3!, other);
    }
  };
  const open = (options: ClientOptions = {}) => {
    const place = { at: 0, asked: 0 };
    const client = createClient(
      {
        request: (build, ended) => {
          place.asked += 1;
          world.ask(world.hosts[place.at]!, build(), (reply) => {
            if (reply.type !== 'part') ended({ type: 'replied', reply: reply as FinalReply });
          });
          return { cancel: () => undefined };
        },
        problem: () => undefined,
        close: () => undefined,
      },
      { clock: world.hosts[0]!.clock, random: world.random(`client ${JSON.stringify(options)}`) },
      options,
    );
    return { client, place };
  };
  /** Lets the world go on until `task` has ended. */
  const ending = async <T>(task: Promise<T>): Promise<T | CoterieError> => {
    let result: T | CoterieError | undefined;
    task.then(
      (value) => (result = value),
      (error: unknown) => (result = error as CoterieError),
    );
    for (let ms = 0; ms < 20_000 && result === undefined; ms += 10) {
      for (let i = 0; i < 30; i++) await Promise.resolve();
      world.clock.advance(10);
    }
    assert.ok(result !== undefined, 'it ends');
    return result;
  };
  const textsOf = async (task: Promise<{ texts(): readonly string[] }>) => {
    const values = await ending(task);
    return values instanceof CoterieError ? values.code : [...values.texts()].sort();
  };
  return { world, cut, open, ending, textsOf };
};

const ONE = { r: 1, w: 1, dw: 0 } as const;

sessions('a plain client on the other side of a split reads what was before', async () => {
  const { cut, open, ending, textsOf } = split();
  const { client, place } = open();
  const { context } = (await ending(client.put('k', 'old', { w: 3 }))) as { context: Uint8Array };
  cut();
  await ending(client.put('k', 'new', { ...ONE, context }));
  place.at = 2;
  assert.deepEqual(await textsOf(client.get('k', ONE)), ['old']);
});

sessions('a session reads its own writes, or is told that nobody there has them', async () => {
  const { world, cut, open, ending, textsOf } = split();
  const { client, place } = open({ session: true });
  const { context } = (await ending(client.put('k', 'old', { w: 3 }))) as { context: Uint8Array };
  assert.deepEqual(await textsOf(client.get('k')), ['old']);
  cut();
  await ending(client.put('k', 'new', { ...ONE, context }));
  place.at = 2;
  assert.equal(await textsOf(client.get('k', ONE)), 'STALE_READ');
  const many = client.getMany(['other', 'k'], ONE);
  const ends: (readonly [number, string])[] = [];
  for (let i = 0; i < 2; i++) {
    const one = await ending(many.next());
    assert.ok(!(one instanceof CoterieError) && one.done !== true);
    const { index, error, values } = one.value;
    ends.push([index, error?.code ?? values!.state]);
  }
  assert.deepEqual(ends.sort(), [
    [0, 'never-seen'],
    [1, 'STALE_READ'],
  ]);
  const asking = textsOf(client.get('k', { ...ONE, timeoutMs: 15_000 }));
  world.network.heal();
  assert.deepEqual(await asking, ['new'], 'it waits until the split is over');
  assert.deepEqual(await textsOf(client.get('k', ONE)), ['new']);
});

sessions('what a session has read it does not un-read, a delete included', async () => {
  const { cut, open, ending, textsOf } = split();
  const { client: writer } = open();
  const { client: reader, place } = open({ session: true });
  await ending(writer.put('k', 'v', { w: 3 }));
  await ending(writer.put('gone', 'v', { w: 3 }));
  cut();
  await ending(writer.put('k', 'w', ONE));
  const { context } = (await ending(writer.get('gone'))) as { context: Uint8Array };
  await ending(writer.delete('gone', { ...ONE, context }));
  assert.deepEqual(await textsOf(reader.get('k', ONE)), ['v', 'w']);
  assert.deepEqual(await textsOf(reader.get('gone', ONE)), []);
  place.at = 2;
  assert.equal(await textsOf(reader.get('k', ONE)), 'STALE_READ');
  assert.equal(await textsOf(reader.get('gone', ONE)), 'STALE_READ');
});

sessions('a key that others overwrite many times is not taken for stale', async () => {
  const { open, ending, textsOf } = split();
  const { client: session } = open({ session: true });
  const { client: other } = open();
  await ending(session.put('k', 'mine', { w: 3 }));
  for (let i = 0; i < 40; i++) {
    const { context } = (await ending(other.get('k', { r: 3 }))) as { context: Uint8Array };
    await ending(other.put('k', `${i}`, { context, w: 3 }));
  }
  assert.deepEqual(await textsOf(session.get('k')), ['39']);
});

sessions('many keys at once and blind writes beside others keep to it', async () => {
  const { open, ending, textsOf } = split();
  const { client, place } = open({ session: true });
  const { client: other } = open();
  await ending(other.put('k', 'theirs', { w: 3 }));
  assert.deepEqual(await textsOf(client.get('k')), ['theirs']);
  await ending(client.put('k', 'mine', { w: 3 }));
  assert.deepEqual(await textsOf(client.get('k')), ['mine', 'theirs']);
  const { asked } = place;
  await ending(client.update('k', (all) => all.map((v) => new TextDecoder().decode(v)).join()));
  assert.equal((await textsOf(client.get('k'))).length, 1);
  assert.equal(place.asked, asked + 3, 'a fresh answer is asked for once');
});

sessions.run();

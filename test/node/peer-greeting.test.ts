/** Who is believed to be a node of the cluster: proofs, and everything that is none. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { systemRandom } from '../../src/adapters/system-random.ts';
import { nodeId, startId } from '../../src/core/ids.ts';
import { Greeting } from '../../src/node/peers/peer-greeting.ts';
import type { GreetingParts, GreetingStep } from '../../src/node/peers/peer-greeting.ts';
import type { Hello, PeerMessage } from '../../src/wire/peer-messages.ts';

const greetings = suite('greetings of nodes');

const secret = (text: string): Uint8Array => new TextEncoder().encode(text.padEnd(32, '.'));
const [OLD, NEW] = [secret('old'), secret('new')];

const hello = (node: string): Hello => ({
  ...{ type: 'hello', protocol: 1, cluster: 'c' },
  ...{ node: nodeId(node), start: startId('0123456789abcdef') },
});
const side = (
  role: GreetingParts['role'],
  secrets: readonly Uint8Array[],
  node = role === 'dialler' ? 'a' : 'b',
): Greeting =>
  new Greeting({ role, own: hello(node), secrets, digest: nodeDigest, random: systemRandom });

/** What each side ends with, and all that was said. */
const greet = (dialler: Greeting, acceptor: Greeting) => {
  const said: PeerMessage[] = [dialler.opening];
  let last: Record<'dialler' | 'acceptor', GreetingStep['type'] | 'waits'> = {
    ...{ dialler: 'waits', acceptor: 'waits' },
  };
  for (let turn = 0; turn < said.length; turn++) {
    const [name, listener] =
      turn % 2 === 0 ? (['acceptor', acceptor] as const) : (['dialler', dialler] as const);
    const step = listener.take(said[turn]!);
    last = { ...last, [name]: step.type };
    if (step.type === 'say') said.push(step.message);
    if (step.type === 'met' && step.say !== undefined) said.push(step.say);
  }
  return { ...last, said };
};

greetings('two nodes with one secret meet; so do two with none', () => {
  for (const secrets of [[], [OLD]]) {
    const { dialler, acceptor, said } = greet(side('dialler', secrets), side('acceptor', secrets));
    assert.deepEqual([dialler, acceptor], ['met', 'met']);
    assert.equal(said.length, secrets.length === 0 ? 2 : 3);
  }
});

greetings('a secret changes node by node: at every step all meet', () => {
  const steps = [[OLD], [OLD, NEW], [NEW, OLD], [NEW]];
  steps.slice(1).forEach((after, i) => {
    for (const [d, a] of [
      [steps[i]!, after],
      [after, steps[i]!],
    ] as const) {
      const { dialler, acceptor } = greet(side('dialler', d), side('acceptor', a));
      assert.deepEqual([dialler, acceptor], ['met', 'met'], `step ${i + 1}`);
    }
  });
  const skipped = greet(side('dialler', [OLD]), side('acceptor', [NEW]));
  assert.deepEqual([skipped.dialler, skipped.acceptor], ['unproved', 'say']);
});

greetings('wrong, replayed or reflected peer proof: nobody is met', () => {
  const recorded = greet(side('dialler', [OLD]), side('acceptor', [OLD])).said;
  const [first, answer, proof] = recorded;
  assert.ok(answer?.type === 'hello' && proof?.type === 'proof');

  const replayed = side('acceptor', [OLD]);
  assert.equal(replayed.take(first!).type, 'say');
  assert.equal(replayed.take(proof).type, 'unproved', 'an overheard dialler');
  assert.equal(side('dialler', [OLD]).take(answer).type, 'unproved', 'an overheard acceptor');

  const reflecting = side('acceptor', [OLD]);
  const own = reflecting.take(first!);
  assert.ok(own.type === 'say' && own.message.type === 'hello');
  const back = reflecting.take({ type: 'proof', proof: own.message.proof! });
  assert.equal(back.type, 'unproved', 'its own proof sent back');

  const dialler = side('dialler', [OLD]);
  const elsewhere = side('acceptor', [OLD], 'c').take(dialler.opening);
  assert.ok(elsewhere.type === 'say' && elsewhere.message.type === 'hello');
  const disguised = { ...elsewhere.message, node: nodeId('b') };
  assert.equal(dialler.take(disguised).type, 'unproved', 'a proof under another name');

  for (const bad of [new Uint8Array(32), new Uint8Array(0), 'text', undefined, [1, 2]]) {
    const acceptor = side('acceptor', [OLD]);
    acceptor.take(first!);
    assert.equal(acceptor.take({ type: 'proof', proof: bad as Uint8Array }).type, 'unproved');
  }
});

greetings(
  'a hello that is none, or comes twice, is malformed; one without a nonce proves nothing',
  () => {
    assert.equal(side('acceptor', [OLD]).take(hello('a')).type, 'unproved');
    for (const wrong of [
      { node: '../a' },
      { node: 5 },
      { protocol: '1' },
      { protocol: -1 },
      { cluster: null },
      { start: {} },
      { nonce: 'text' },
    ]) {
      const step = side('acceptor', [OLD]).take({ ...hello('a'), ...wrong } as unknown as Hello);
      assert.equal(step.type, 'malformed', JSON.stringify(wrong));
    }
    const twice = side('acceptor', [OLD]);
    const { opening } = side('dialler', [OLD]);
    twice.take(opening);
    assert.equal(twice.take(opening).type, 'malformed');
    assert.equal(side('acceptor', [OLD]).take({ type: 'ping' }).type, 'malformed');
    assert.equal(side('acceptor', [OLD]).take({ type: 'proof', proof: OLD }).type, 'malformed');
  },
);

greetings.run();

/** First words on a link: said until they are known to be heard, and never taken back by the network. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeId, startId } from '../../src/core/ids.ts';
import { PeerLink } from '../../src/node/peers/peer-link.ts';
import type { Connection } from '../../src/ports/links.ts';
import { decodePeerFrame } from '../../src/wire/peer-codec.ts';
import type { PeerMessage, RoundAt } from '../../src/wire/peer-messages.ts';

const links = suite('a link to a peer');

const [SELF, PEER] = [nodeId('a'), nodeId('b')];
const LIFE = startId('00000000000000aa');

const wordOf = (round: number, change: Partial<RoundAt> = {}): RoundAt => ({
  ...{ type: 'round.at', round, floor: round, entered: round, forgotten: round },
  ...change,
});

const linked = (earlier?: PeerLink) => {
  const frames: Uint8Array[] = [];
  const connection: Connection = {
    remote: 'b',
    send: (frame) => frames.push(frame),
    bufferedBytes: () => 0,
    close: () => undefined,
    terminate: () => undefined,
  };
  const link = new PeerLink({ node: PEER, start: LIFE, connection, dialledBy: SELF, earlier }, 0);
  /** Says it as `Peers` does, and what leaves with it. */
  const say = (message: PeerMessage, word: RoundAt, nowMs = 0): readonly PeerMessage[] => {
    if (message.type === 'ping' || message.type === 'pong') link.repeat([word], message);
    link.say(message, nowMs);
    link.flush(1000);
    return frames.splice(0).flatMap((frame) => decodePeerFrame(frame));
  };
  return { link, say };
};

const types = (messages: readonly PeerMessage[]): string => messages.map(({ type }) => type).join();

links('first words go with every ping and pong until a pong confirms them', () => {
  const { link, say } = linked();
  const word = wordOf(1);
  link.heard(wordOf(1), 0);
  assert.equal(types(say({ type: 'ping' }, word)), 'round.at,ping');
  assert.equal(types(say({ type: 'pong' }, word)), 'round.at,pong');
  assert.equal(types(say({ type: 'ping' }, word)), 'round.at,ping');
  link.heard({ type: 'ping' }, 1);
  assert.equal(types(say({ type: 'ping' }, word)), 'round.at,ping', 'a ping confirms nothing');
  link.heard({ type: 'pong' }, 2);
  assert.equal(types(say({ type: 'ping' }, word)), 'ping');
  assert.equal(types(say({ type: 'pong' }, word)), 'pong');
});

links('words that have changed are said again, also while an older ping is under way', () => {
  const { link, say } = linked();
  link.heard(wordOf(1), 0);
  assert.equal(types(say({ type: 'ping' }, wordOf(1))), 'round.at,ping');
  assert.deepEqual(say({ type: 'ping' }, wordOf(2))[0], wordOf(2));
  link.heard({ type: 'pong' }, 1);
  // It may have been the answer to the first of the two.
  assert.deepEqual(say({ type: 'ping' }, wordOf(2))[0], wordOf(2));
  link.heard({ type: 'pong' }, 2);
  assert.equal(types(say({ type: 'ping' }, wordOf(2))), 'ping');
});

links('nothing is taken from a peer before its first word', () => {
  const { link } = linked();
  assert.equal(link.heard({ type: 'pong' }, 0), 'pass-over');
  assert.equal(link.heard(wordOf(0), 0), 'hand-on');
  assert.equal(link.heard({ type: 'pong' }, 0), 'hand-on');
});

links('a first word that a newer one has overtaken is passed over, an equal one is not', () => {
  const { link } = linked();
  const [older, newer] = [wordOf(5), wordOf(5, { entered: 6, forgotten: 6, round: 6 })];
  assert.equal(link.heard(newer, 0), 'hand-on');
  assert.equal(link.heard(older, 1), 'pass-over');
  assert.equal(link.heard(newer, 2), 'hand-on');
  for (const name of ['round', 'floor', 'entered', 'forgotten'] as const) {
    const lower = { ...newer, [name]: newer[name] - 1 };
    assert.equal(link.heard(lower, 3), 'pass-over', name);
  }
  assert.equal(link.heard({ ...newer, floor: 6 }, 4), 'hand-on');
  assert.equal(link.heard(newer, 5), 'pass-over');
  assert.equal(link.heard({ type: 'pong' }, 6), 'hand-on', 'whatever else it says is taken');
});

links('a link that replaces another of the same life knows what that one heard', () => {
  const before = linked();
  before.link.heard(wordOf(5), 0);
  before.link.say({ type: 'ping' }, 0);
  const after = linked(before.link);
  assert.equal(types(after.link.outbox), 'ping', 'what was not sent yet goes by the new one');
  assert.equal(after.link.heard({ type: 'pong' }, 1), 'pass-over', 'it has to say its own');
  assert.equal(after.link.heard(wordOf(6), 1), 'hand-on');
  assert.equal(before.link.heard(wordOf(5), 2), 'pass-over', 'late, by the old connection');
});

links("what is still to come of a life that is over is nobody's word", () => {
  const { link } = linked();
  assert.equal(link.heard(wordOf(5), 0), 'hand-on');
  link.cutOff();
  assert.equal(link.heard(wordOf(6), 1), 'pass-over');
  assert.equal(link.heard({ type: 'pong' }, 1), 'pass-over');
});

links.run();

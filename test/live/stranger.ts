/** Somebody who speaks the protocol between nodes and is none: for tests of what he is told. */
import { WebSocket } from 'ws';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { systemRandom } from '../../src/adapters/system-random.ts';
import { nodeId, startId } from '../../src/core/ids.ts';
import { Greeting } from '../../src/node/peers/peer-greeting.ts';
import { decodePeerFrame, encodePeerFrame } from '../../src/wire/peer-codec.ts';
import type { Hello, PeerMessage } from '../../src/wire/peer-messages.ts';

/** A stranger on the peer port: says each frame after the one before was answered. */
export const stranger = (url: string) => {
  const ws = new WebSocket(`${url}/peer`, 'coterie-peer.1');
  const heard: PeerMessage[] = [];
  let unknown = 0;
  const waiting: (() => void)[] = [];
  ws.on('message', (frame: Buffer) => {
    const messages = decodePeerFrame(frame);
    unknown += countOf(frame) - messages.length;
    heard.push(...messages);
    waiting.splice(0).forEach((wake) => wake());
  });
  ws.on('error', () => undefined);
  const closed = new Promise<string>((resolve) =>
    ws.on('close', (code, reason) => {
      waiting.splice(0).forEach((wake) => wake());
      resolve(`${code} ${reason.toString()}`);
    }),
  );
  const opened = new Promise<void>((resolve) => ws.on('open', resolve));
  return {
    heard,
    closed,
    say: async (...messages: PeerMessage[]) => {
      await Promise.race([opened, closed]);
      ws.send(encodePeerFrame(messages)[0]!);
    },
    hears: async (count: number) => {
      while (heard.length < count && ws.readyState === WebSocket.OPEN) {
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
      return heard[count - 1];
    },
    /** Messages of types that this version does not know. */
    unknown: () => unknown,
    end: () => ws.terminate(),
  };
};

/** Messages in a frame, known or not: each has its length ahead. */
const countOf = (frame: Buffer): number => {
  let count = 0;
  for (let at = 0; at < frame.length; at += 4 + frame.readUInt32BE(at)) count += 1;
  return count;
};

export const helloAs = (node: string, cluster: string, start = 'f'.repeat(16)): Hello => ({
  ...{ type: 'hello', protocol: 1, cluster },
  ...{ node: nodeId(node), start: startId(start) },
});
export const greetingAs = (own: Hello, secrets: readonly string[]): Greeting =>
  new Greeting({
    role: 'dialler',
    own,
    secrets: secrets.map((each) => new Uint8Array(Buffer.from(each))),
    digest: nodeDigest,
    random: systemRandom,
  });

/** Greets as `own` would; the messages said, and how it ended. */
export const greet = async (url: string, own: Hello, secrets: readonly string[]) => {
  const side = stranger(url);
  const greeting = greetingAs(own, secrets);
  const said = [greeting.opening];
  await side.say(greeting.opening);
  const answer = await side.hears(1);
  if (answer !== undefined) {
    const step = greeting.take(answer);
    if (step.type === 'met' && step.say !== undefined) {
      said.push(step.say);
      await side.say(step.say);
    }
  }
  return { ...side, said, answer };
};

/** What the stories share. */
import * as assert from 'node:assert/strict';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { hexOf, keyOfText, putId } from '../../src/core/ids.ts';
import type { Config } from '../../src/node/config.ts';
import type { WriteLogLimits } from '../../src/node/store/write-log.ts';
import { HASTY_LOG, World } from '../../src/sim/world.ts';
import type { HandledReply, HandledRequest, PutRequest } from '../../src/wire/client-messages.ts';
import type { PutCommand } from '../../src/wire/peer-messages.ts';

/** Every record in its place with its own commit: there it can be damaged. */
export const NO_LOG: WriteLogLimits = {
  ...HASTY_LOG,
  rowBytesMax: 0,
  hotRowBytesMax: 0,
};

let lastPut = 0;

const nextPut = () =>
  putId(hexOf(new Uint8Array([0, 0, 0, 0, 0, 0, ++lastPut >> 8, lastPut & 255])));

/** A simulated cluster, warmed up, and short ways to ask it; each question waits for its answer. */
export const cluster = (
  nodes = 3,
  seed = 1,
  config: Partial<Config> = {},
  founders = nodes,
  zones = 1,
  writeLog: WriteLogLimits = HASTY_LOG,
) => {
  const world = new World({ seed, nodes, founders, zones, digest: nodeDigest, config, writeLog });
  for (const host of world.hosts) world.start(host);
  world.clock.advance(3000);
  const ask = (at: number, request: HandledRequest, waitMs = 7000): HandledReply => {
    let answer: HandledReply | undefined;
    world.ask(world.hosts[at]!, request, (reply) => (answer = reply));
    world.clock.advance(waitMs);
    assert.ok(answer !== undefined, 'an answer in time');
    return answer;
  };
  const putOf = (at: number, text: string, change: Partial<PutCommand> = {}): PutRequest => ({
    type: 'put',
    key: keyOfText('k'),
    value: new TextEncoder().encode(text),
    contexts: [],
    putId: nextPut(),
    writtenAt: world.hosts[at]!.clock.wallMs(),
    attempt: 1,
    mode: 'causal',
    strict: false,
    timeoutMs: 3000,
    ...change,
  });
  const put = (at: number, text: string, change: Partial<PutCommand> = {}, waitMs = 7000) =>
    ask(at, putOf(at, text, change), waitMs);
  const get = (at: number, r = 2, key = 'k', waitMs = 7000) => {
    const request = { key: keyOfText(key), r, strict: false, timeoutMs: 3000 };
    const reply = ask(at, { type: 'get', ...request }, waitMs);
    assert.ok(reply.type === 'value', JSON.stringify(reply));
    return { ...reply, texts: reply.values.map((value) => new TextDecoder().decode(value)).sort() };
  };
  return { world, ask, put, putOf, get };
};

/** The error code of a failed reply, else its type. */
export const codeOf = (reply: HandledReply): string =>
  reply.type === 'failed' ? reply.code : reply.type;

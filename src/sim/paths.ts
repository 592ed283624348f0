/**
 * The rare paths a run should now and then go down, counted from outside: what frames, commits,
 * answers and faults tell. A new path is a new name here and one line that counts it.
 */
import type { PutId } from '../core/ids.ts';
import { LOG_TABLE } from '../ports/storage.ts';
import { decodePeerFrame } from '../wire/peer-codec.ts';
import type { PeerMessage } from '../wire/peer-messages.ts';
import { FAULT_NAMES } from './faults.ts';
import type { SimEvent, World } from './world.ts';

/** Each must have been visited in a batch of some size, or the simulator no longer tests it. */
export const PATHS = [
  'applied',
  'unknown',
  'refused',
  'retried',
  'hedged',
  'put again',
  'siblings read',
  'last-write-wins put',
  'strict put refused',
  'overload answered',
  'storage refused',
  'retry recognised',
  'forwarded',
  'fallback asked',
  'sync asked',
  'read repair',
  'write of what is held',
  'hint made',
  'hint refused',
  'hint delivered',
  'handoff',
  'record forgotten by a stand-in',
  'buffered changes lost',
  'unsynced commit lost',
  'record at its limits',
  'frame lost',
  'frame doubled',
  'old retry',
  'clock refused',
  'sibling cap',
  'delete forgotten',
  'condition met',
  'condition not met',
  'expired value read',
  'expired value forgotten',
  'scan',
  'scan of many pages',
  'record written to its place',
  'log trimmed',
  'log replayed',
] as const;

export type PathName = (typeof PATHS)[number];

export class Paths {
  readonly counts = new Map<string, number>();
  readonly #appliedPuts = new Set<PutId>();
  readonly #mortalPuts = new Set<PutId>();

  constructor(world: World) {
    for (const name of [...PATHS, ...FAULT_NAMES]) this.counts.set(name, 0);
    world.observe((event) => this.#hear(event));
  }

  add(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }

  #hear(event: SimEvent): void {
    switch (event.type) {
      case 'frame':
        if (event.fate !== 'sent') this.add(event.fate === 'lost' ? 'frame lost' : 'frame doubled');
        for (const message of decodePeerFrame(event.frame)) this.#hearMessage(message);
        return;
      case 'written':
        for (const { table, type } of event.ops) {
          if (table === 'records') this.add('record written to its place');
          if (table === LOG_TABLE && type === 'remove') this.add('log trimmed');
        }
        return;
      case 'started':
        if (event.host.disk.platter.range(LOG_TABLE, { limit: 1 }).length > 0) {
          this.add('log replayed');
        }
        return;
      case 'committed':
        for (const { table, type } of event.ops) {
          if (table === 'hints') {
            this.add(type === 'put' ? 'hint made' : 'hint delivered');
          } else if (table === 'records' && type === 'remove') {
            this.add('record forgotten by a stand-in');
          }
        }
        return;
      case 'asked':
        if (event.request.type !== 'put') return;
        if (event.request.mode === 'last-write-wins') this.add('last-write-wins put');
        if (event.request.expiresAt !== undefined) this.#mortalPuts.add(event.request.putId);
        return;
      case 'answered':
        this.#hearAnswer(event);
        return;
      case 'died':
        if (event.buffered > 0) this.add('buffered changes lost');
        if (event.unsynced > 0) this.add('unsynced commit lost');
        return;
      case 'said':
        if (event.text.includes(' warn hint.refused')) this.add('hint refused');
        if (event.text.includes(' delete.forgotten ')) this.#hearForgotten(event.text);
        return;
      default:
        return;
    }
  }

  #hearMessage(message: PeerMessage): void {
    switch (message.type) {
      case 'write':
        if (message.hintFor !== undefined) this.add('fallback asked');
        // Nobody waits for a repair: its request number is nobody's.
        if (message.request === 0) this.add('read repair');
        if (message.over !== undefined) this.add('write of what is held');
        return;
      case 'sync':
        return this.add('sync asked');
      case 'forward':
        return this.add('forwarded');
      case 'deliver':
        return this.add('handoff');
      case 'refused':
        if (message.code === 'OVERLOADED') this.add('hint refused');
        if (message.code === 'INSUFFICIENT_STORAGE') this.add('storage refused');
        return;
      default:
        return;
    }
  }

  #hearForgotten(text: string): void {
    const isMortal = [...this.#mortalPuts].some((put) => text.includes(put));
    this.add(isMortal ? 'expired value forgotten' : 'delete forgotten');
  }

  #hearAnswer({ request, reply }: Extract<SimEvent, { type: 'answered' }>): void {
    if (reply.type === 'applied' && request.type === 'put') {
      if (this.#appliedPuts.has(request.putId)) this.add('retry recognised');
      this.#appliedPuts.add(request.putId);
      if (request.onlyIf !== undefined) this.add('condition met');
    }
    if (reply.type !== 'failed') return;
    switch (reply.code) {
      case 'OVERLOADED':
        return this.add('overload answered');
      case 'INSUFFICIENT_STORAGE':
        return this.add('storage refused');
      case 'RETRY_TOO_OLD':
        return this.add('old retry');
      case 'BAD_TIMESTAMP':
        return this.add('clock refused');
      case 'CONDITION_NOT_MET':
        return this.add('condition not met');
      case 'TOO_MANY_SIBLINGS':
        return this.add('sibling cap');
      case 'QUORUM_NOT_MET':
        if (request.type === 'put' && request.strict && reply.details['outcome'] === 'refused') {
          this.add('strict put refused');
        }
        return;
      default:
        return;
    }
  }
}

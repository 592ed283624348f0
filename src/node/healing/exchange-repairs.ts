/**
 * How an exchange makes differing records equal (paper § 4.7): first theirs come here and are made
 * durable, then ours go there wherever that side still knows less, and it makes them durable.
 */
import type { ExchangeEvent } from '../../../actors/exchange.ts';
import type { Carried } from '../../core/admission.ts';
import { stepDone } from '../../core/exchange.ts';
import type { Walk } from '../../core/exchange.ts';
import type { Key } from '../../core/ids.ts';
import { decodeRecord, encodeRecord } from '../../core/record-bytes.ts';
import type { TreeAnswer } from '../../wire/peer-messages.ts';
import type { ExchangeLog } from './exchange-log.ts';
import { forgetComplete } from './exchange-walk.ts';
import type { Exchange, Numberless, RepairStep } from './exchange-walk.ts';
import { hashOfRecord } from '../store/stored.ts';
import { carriedOf } from './tree-answers.ts';
import type { TreeParts } from './tree-answers.ts';

export type ExchangeRepairsParts = TreeParts & {
  readonly ask: (exchange: Exchange, message: Numberless) => void;
  readonly isUnderWay: (exchange: Exchange) => boolean;
  readonly tellExchange: (event: ExchangeEvent) => void;
};

export class ExchangeRepairs {
  readonly #parts: ExchangeRepairsParts;
  readonly #log: ExchangeLog;

  constructor(parts: ExchangeRepairsParts, log: ExchangeLog) {
    this.#parts = parts;
    this.#log = log;
  }

  begin(exchange: Exchange, step: RepairStep): void {
    exchange.walk = [...exchange.walk, step];
    const keys = step.differences.flatMap(({ key, theirs }) => (theirs === undefined ? [] : [key]));
    // While the other side takes its time, and its rest, this one rests as well.
    this.#parts.admission.begin('anti-entropy');
    exchange.carried = { looked: step.differences.length, records: 0, bytes: 0 };
    if (keys.length === 0) this.#push(exchange, step, new Map());
    else this.#parts.ask(exchange, { type: 'fetch', keys });
    this.#parts.tellExchange({ type: 'step.repairs' });
  }

  /** Their records are here. Throws RangeError on nonsense. */
  fetched(exchange: Exchange, answer: Extract<TreeAnswer, { type: 'fetched' }>): void {
    const { replica, store, digest } = this.#parts;
    const step = exchange.walk.at(-1);
    if (step?.type !== 'repair') return;
    const theirs = new Map(
      answer.entries.map(({ key, record }) => [
        key,
        hashOfRecord(digest, key, decodeRecord(record)),
      ]),
    );
    // What this node cannot take now it asks for again in the next exchange.
    if (!replica.takeAll(answer)) return;
    const { records, bytes } = this.#carry(exchange, answer.entries);
    const tally = this.#log.of(exchange.peer);
    tally.pulled += records;
    tally.pulledBytes += bytes;
    const asked = step.differences.filter(({ theirs: hash }) => hash !== undefined);
    // At least one: whatever the other side says, the walk comes to its end.
    const looked = Math.max(1, answer.looked);
    if (asked.slice(0, looked).some(({ key }) => !theirs.has(key))) {
      // It had the record when it listed it, and lost it: its partition was no whole snapshot.
      forgetComplete(exchange, step.partition);
    }
    const cut = new Set(asked.slice(looked).map(({ key }) => key));
    const later = step.differences.filter(({ key }) => cut.has(key));
    const now = step.differences.filter(({ key }) => !cut.has(key));
    const rest: Walk = later.length === 0 ? [] : [{ ...step, differences: later }];
    const current = { ...step, differences: now };
    exchange.walk = [...stepDone(exchange.walk), ...rest, current];
    store.whenAllDurable(() => {
      if (this.#parts.isUnderWay(exchange)) this.#push(exchange, current, theirs);
    });
  }

  #push(exchange: Exchange, step: RepairStep, theirs: ReadonlyMap<Key, bigint>): void {
    const { replica, digest, rounds, answerBytesMax } = this.#parts;
    const entries: { key: Key; record: Uint8Array }[] = [];
    let bytes = 0;
    let looked = 0;
    for (const { key } of step.differences) {
      if (bytes >= answerBytesMax) break;
      looked += 1;
      const held = replica.read(key);
      if (held === undefined || hashOfRecord(digest, key, held) === theirs.get(key)) continue;
      const record = encodeRecord(held, 'with-values');
      bytes += record.length;
      entries.push({ key, record });
    }
    const later = step.differences.slice(looked);
    const rest: Walk = later.length === 0 ? [] : [{ ...step, differences: later }];
    exchange.walk = [...stepDone(exchange.walk), ...rest];
    if (entries.length === 0) {
      this.#parts.tellExchange({ type: 'repair.done' });
      return;
    }
    this.#carry(exchange, entries);
    const tally = this.#log.of(exchange.peer);
    tally.pushed += entries.length;
    tally.pushedBytes += bytes;
    this.#parts.ask(exchange, { type: 'deliver', round: rounds.current, entries });
  }

  /** Counts these records to what the step under way has carried. */
  #carry(exchange: Exchange, entries: readonly { readonly record: Uint8Array }[]): Carried {
    const carried = carriedOf(entries);
    const { looked, records, bytes } = exchange.carried;
    exchange.carried = {
      looked,
      records: records + carried.records,
      bytes: bytes + carried.bytes,
    };
    return carried;
  }
}

/**
 * Replays a kept story through its machine: the same chart, the same events at the same moments, on a
 * virtual clock and with ports that only tell what would have been asked of them.
 */
import { createActor } from 'xstate';
import { machineOf } from './machines.ts';
import type { InspectionRecord } from './records.ts';
import type { Story } from './story.ts';
import { inputFacts, listenedPorts, translator } from './translate.ts';
import type { Happening } from './translate.ts';

/** What a coordinator asks of its node; in a replay nobody answers but the story. */
const PORTS: Readonly<Record<string, readonly string[]>> = {
  put: ['mint', 'write', 'sync', 'keepHint', 'reply'],
  get: ['read', 'repair', 'reply'],
  forward: ['forward', 'reply'],
  scan: ['list', 'reply'],
};

/** The records of `story` as its coordinator's node would have made them; seq counts from 0. */
export const replay = ({
  summary,
  input,
  events,
  endedAtMs,
}: Story): readonly InspectionRecord[] => {
  const { machine, node, request, cause, bornAtMs } = summary;
  const logic = machineOf(machine);
  const ports = PORTS[machine];
  if (logic === undefined || ports === undefined) return [];
  const records: InspectionRecord[] = [];
  const clock = new ReplayClock(bornAtMs);
  const tell = (happening: Happening): void => {
    const atMs = clock.nowMs;
    const actor = `${machine} ${request}`;
    records.push({ seq: records.length, atMs, node, actor, cause, ...happening });
  };
  const silent = Object.fromEntries(ports.map((name) => [name, () => undefined]));
  const listened = listenedPorts(silent, node, tell, (task) => task());
  tell({ type: 'born', what: machine, facts: inputFacts(input).facts });
  const actor = createActor(logic, {
    input: { ...input, ports: listened },
    clock,
    inspect: translator(tell),
  });
  actor.subscribe({ error: () => undefined });
  actor.start();
  for (const { atMs, event } of events) {
    clock.runUntil(atMs);
    actor.send(event);
  }
  clock.runUntil(endedAtMs);
  const { status } = actor.getSnapshot() as { readonly status: string };
  tell({ type: 'ended', what: status });
  actor.stop();
  return records;
};

/** Timers in order of (due, order of setting), run only as far as it is told. */
class ReplayClock {
  nowMs: number;
  #order = 0;
  readonly #timers = new Map<number, { readonly dueMs: number; readonly task: () => void }>();

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  setTimeout(task: () => void, delayMs: number): number {
    this.#timers.set(++this.#order, { dueMs: this.nowMs + delayMs, task });
    return this.#order;
  }

  clearTimeout(timer: number): void {
    this.#timers.delete(timer);
  }

  runUntil(endMs: number): void {
    for (;;) {
      let next: [number, { readonly dueMs: number; readonly task: () => void }] | undefined;
      for (const entry of this.#timers) {
        if (entry[1].dueMs <= endMs && (next === undefined || entry[1].dueMs < next[1].dueMs)) {
          next = entry;
        }
      }
      if (next === undefined) break;
      this.#timers.delete(next[0]);
      this.nowMs = Math.max(this.nowMs, next[1].dueMs);
      next[1].task();
    }
    this.nowMs = Math.max(this.nowMs, endMs);
  }
}

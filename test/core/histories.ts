/** Histories of one key: single writes, and random ones of three replicas that write and meet. */
import fc from 'fast-check';
import { actorId, putId, startId } from '../../src/core/ids.ts';
import type { ActorId, PutId } from '../../src/core/ids.ts';
import { BLIND, EMPTY_RECORD, contextOf, merge, write } from '../../src/core/record.ts';
import type { CausalContext, RecordLimits, RecordOfKey } from '../../src/core/record.ts';

const start = startId('00000000000000aa');
export const actor = (birth: number): ActorId => actorId(start, birth);
export const put = (n: number): PutId => putId(n.toString(16).padStart(16, '0'));
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export const LIMITS = [
  ['untruncated', { vectorEntriesMax: 64, seenPutsMax: 64 }],
  ['truncated to two entries', { vectorEntriesMax: 2, seenPutsMax: 2 }],
] as const;

type Draft = {
  by: number;
  id: number;
  text?: string;
  at?: number;
  lww?: boolean;
  isRetry?: boolean;
};

export const wrote = (
  record: RecordOfKey,
  context: CausalContext,
  { by, id, text, at = 1000, lww, isRetry = false }: Draft,
  limits?: RecordLimits,
): RecordOfKey => {
  const result = write(
    record,
    context,
    {
      actor: actor(by),
      putId: put(id),
      value: text === undefined ? 'tombstone' : bytes(text),
      writtenAt: at,
      nowMs: 1000,
      mode: lww === true ? 'last-write-wins' : 'causal',
      isRetry,
    },
    limits,
  );
  if (result.type === 'reused') throw new Error('reused');
  return result.record;
};

/** A step of a random history over three replicas; steps that do not apply are ignored. */
export const steps = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('write' as const),
      at: fc.nat(2),
      seesWhat: fc.nat(3),
      retry: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('meet' as const), at: fc.nat(2), other: fc.nat(2) }),
  ),
  { maxLength: 40 },
);

/** Plays a history; each replica mints as A4 demands: with an actor of its own, a new one once the
 * record has forgotten what the old one wrote last. */
export const play = (history: readonly Step[], limits: RecordLimits) => {
  const replicas = [EMPTY_RECORD, EMPTY_RECORD, EMPTY_RECORD];
  const contexts: CausalContext[] = [BLIND];
  const writes: { id: number; context: CausalContext }[] = [];
  const mes = [0, 1, 2].map((birth) => ({ birth, n: 0 }));
  let born = mes.length;
  const nOf = (record: RecordOfKey, birth: number): number =>
    record.vector.find((dot) => dot.actor === actor(birth))?.n ?? 0;
  for (const step of history) {
    const here = replicas[step.at]!;
    if (step.kind === 'meet') {
      replicas[step.at] = merge(here, replicas[step.other]!, limits);
      contexts.push(contextOf(replicas[step.at]!));
      continue;
    }
    const retried = step.retry ? writes.at(-1) : undefined;
    const { id, context } = retried ?? {
      id: writes.length + 1,
      context: contexts[contexts.length - 1 - (step.seesWhat % contexts.length)]!,
    };
    if (retried === undefined) writes.push({ id, context });
    const me = mes[step.at]!;
    if (nOf(here, me.birth) !== me.n) me.birth = born++;
    const draft = { by: me.birth, id, text: `w${id}`, at: 1000 + id };
    const now = wrote(here, context, draft, limits);
    // Forgotten at once, perhaps: then what it wrote last is not known, and never 0.
    me.n = nOf(now, me.birth) || -1;
    replicas[step.at] = now;
    if (step.seesWhat === 0) contexts.push(contextOf(now));
  }
  return { replicas: replicas as [RecordOfKey, RecordOfKey, RecordOfKey], writes };
};
type Step = NonNullable<ReturnType<typeof steps.generate>['value']>[number];

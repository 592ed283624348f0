/**
 * What is kept of one coordinator while it lives: its input and the few events it was sent. A request
 * that was slow, failed or met siblings leaves this behind, without value bytes, to be replayed
 * through its machine by whoever wants to know (replay.ts).
 */
import type { StorySummary } from './records.ts';

export type KeptEvent = { readonly atMs: number; readonly event: { readonly type: string } };

export type Story = {
  readonly summary: StorySummary;
  readonly input: object;
  readonly events: readonly KeptEvent[];
  /** When it was buried. */
  readonly endedAtMs: number;
};

const NO_BYTES = new Uint8Array(0);

/** A deep copy without value bytes and without ports: what may be kept of `given`. */
export const withoutValues = <T>(given: T): T => strip(given, 0) as T;

const strip = (given: unknown, depth: number): unknown => {
  if (given instanceof Uint8Array) return NO_BYTES;
  if (typeof given !== 'object' || given === null || depth > 8) return given;
  if (Array.isArray(given)) return given.map((each) => strip(each, depth + 1));
  if (given instanceof Map || given instanceof Set) return given;
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (name !== 'ports' && typeof value !== 'function') kept[name] = strip(value, depth + 1);
  }
  return kept;
};

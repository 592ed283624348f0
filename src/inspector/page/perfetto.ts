/** Records as a Chrome trace (JSON array format), which Perfetto and chrome://tracing open. */
import type { InspectionRecord } from '../records.ts';

type TraceEvent = { readonly [name: string]: unknown };

/** Nodes are processes, actors threads, states slices, messages flows, everything else instants. */
export const perfettoOf = (
  records: readonly InspectionRecord[],
): { readonly traceEvents: readonly TraceEvent[] } => {
  const events: TraceEvent[] = [];
  const pids = new Map<string, number>();
  const tids = new Map<string, number>();
  const open = new Map<string, InspectionRecord>();
  const idOf = (
    ids: Map<string, number>,
    name: string,
    meta: (id: number) => TraceEvent,
  ): number => {
    let id = ids.get(name);
    if (id === undefined) {
      ids.set(name, (id = ids.size + 1));
      events.push(meta(id));
    }
    return id;
  };
  const sorted = [...records].sort((a, b) => a.atMs - b.atMs);
  const startMs = sorted[0]?.atMs ?? 0;
  const us = ({ atMs }: InspectionRecord): number => Math.round((atMs - startMs) * 1000);
  for (const record of sorted) {
    const { node, actor, type, what, facts, cause, peer } = record;
    const name = (title: string, args: string) => ({ ph: 'M', name: title, args: { name: args } });
    const pid = idOf(pids, node, (id) => ({ ...name('process_name', node), pid: id }));
    const thread = `${node} ${actor}`;
    const tid = idOf(tids, thread, (id) => ({ ...name('thread_name', actor), pid, tid: id }));
    const args = {
      ...facts,
      ...(cause === undefined ? {} : { cause }),
      ...(peer === undefined ? {} : { peer }),
    };
    if (type === 'state' || type === 'ended') {
      const begun = open.get(thread);
      if (begun !== undefined) {
        events.push({
          ph: 'X',
          name: begun.what,
          pid,
          tid,
          ts: us(begun),
          dur: us(record) - us(begun),
        });
      }
      if (type === 'state') open.set(thread, record);
      else open.delete(thread);
    } else
      events.push({ ph: 'i', s: 't', name: `${type} ${what}`, pid, tid, ts: us(record), args });
  }
  return { traceEvents: events };
};

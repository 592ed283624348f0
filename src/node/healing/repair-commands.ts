/** What operators ask about repair, and the repair they begin (`coterie repair`). */
import { CoterieError } from '../../core/errors.ts';
import { partitionId } from '../../core/ids.ts';
import type { NodeId } from '../../core/ids.ts';
import { uintArgument } from '../operators/admin-commands.ts';
import type { AdminCommands } from '../operators/admin-commands.ts';
import type { Completeness } from '../store/completeness.ts';
import type { ExchangeDesk, ExchangeProgress } from './exchange-desk.ts';
import type { ExchangeReport } from './exchange-log.ts';
import type { ReadRepairReport, ReadRepairs } from '../requests/read-repairs.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { RepairProgress } from './repair-run.ts';
import type { RingView } from '../membership/ring-view.ts';
import type { ScrubDesk, ScrubReport } from './scrub-desk.ts';

export type RepairParts = {
  readonly self: NodeId;
  readonly ring: RingView;
  readonly exchanges: ExchangeDesk;
  readonly completeness: Completeness;
  readonly store: RecordStore;
  readonly scrub: ScrubDesk;
  readonly readRepairs: ReadRepairs;
};

/** The answer to `repair.status`. */
export type RepairStatus = {
  readonly node: NodeId;
  /** Partitions that are being refilled: reads of them are answered by the other owners (C7). */
  readonly incomplete: number;
  /** Rows found damaged since the start. */
  readonly damaged: number;
  readonly peers: readonly ExchangeReport[];
  readonly scrub: ScrubReport;
  readonly readRepairs: ReadRepairReport;
  /** The comparison under way. */
  readonly underWay?: ExchangeProgress;
  /** The newest repair that an operator asked for. */
  readonly run?: RepairProgress;
};

export const repairStatusOf = ({
  self,
  exchanges,
  completeness,
  store,
  scrub,
  readRepairs,
}: RepairParts): RepairStatus => {
  const { underWay } = exchanges;
  const run = exchanges.repair.progress();
  return {
    node: self,
    incomplete: completeness.missing().length,
    damaged: store.corruptFound,
    peers: exchanges.reports(),
    scrub: scrub.report(),
    readRepairs: readRepairs.report(),
    ...(underWay === undefined ? {} : { underWay }),
    ...(run === undefined ? {} : { run }),
  };
};

export const repairCommands = (parts: RepairParts): AdminCommands => ({
  'repair.status': (_, answer) => answer(repairStatusOf(parts)),
  /** `partition`: only this one; `sinceMs`: leave out co-owners found equal within it. */
  'repair.start': (args, answer) => {
    const { ring, exchanges, self } = parts;
    const partition = uintArgument(args, 'partition', ring.ring.partitions);
    const sinceMs = uintArgument(args, 'sinceMs');
    if (partition !== undefined && !ring.ring.table[partition]?.includes(self)) {
      const owners = ring.ring.table[partition] ?? [];
      const message = `${self} does not own partition ${partition}: ask ${owners.join(' or ')}`;
      throw new CoterieError('BAD_ARGUMENT', message, { owners });
    }
    const only = partition === undefined ? undefined : partitionId(partition);
    exchanges.repair.begin(only, sinceMs);
    answer(repairStatusOf(parts));
  },
  /** Looks at every row now, as fast as clients allow. */
  'repair.scrub': (_, answer) => {
    parts.scrub.hurry();
    answer(repairStatusOf(parts));
  },
});

/** Figures of the work that nobody waits for: anti-entropy, transfers, admission; and of clocks and pages. */
import type { NodeId } from '../../core/ids.ts';
import type { TablePages } from '../../ports/storage.ts';
import type { Metric } from './metrics.ts';
import type { Status } from '../status.ts';

export type BackgroundParts = {
  readonly status: Status;
  /** By peer, how far its wall clock is ahead of ours, ms. */
  readonly clockOffsets: ReadonlyMap<NodeId, number>;
  readonly pages: readonly TablePages[];
};

export const backgroundMetrics = (parts: BackgroundParts): readonly Metric[] => {
  const { status, clockOffsets, pages } = parts;
  const { repair, transfers, admission } = status;
  const byPeer = (of: (report: Status['repair'][number]) => number) =>
    repair.map((report) => ({ labels: { peer: report.peer }, value: of(report) }));
  return [
    counter(
      'coterie_exchanges_total',
      'Anti-entropy exchanges begun with a co-owner.',
      byPeer(({ exchanges }) => exchanges),
    ),
    counter(
      'coterie_exchanges_abandoned_total',
      'Exchanges given up because the peer fell silent.',
      byPeer(({ abandoned }) => abandoned),
    ),
    counter('coterie_repaired_records_total', 'Records that differed, by who had them.', [
      ...repair.map(({ peer, pulled }) => ({ labels: { peer, way: 'pulled' }, value: pulled })),
      ...repair.map(({ peer, pushed }) => ({ labels: { peer, way: 'pushed' }, value: pushed })),
    ]),
    gauge(
      'coterie_exchange_equal_age_seconds',
      'Time since this node was last found equal with a co-owner.',
      repair.flatMap(({ peer, equalSinceMs }) =>
        equalSinceMs === undefined ? [] : [{ labels: { peer }, value: equalSinceMs / 1000 }],
      ),
    ),
    gauge('coterie_partitions_moving', 'Partitions on the move, by the part this node has in it.', [
      { labels: { part: 'arriving' }, value: transfers.arriving },
      { labels: { part: 'departing' }, value: transfers.departing },
      { labels: { part: 'anywhere' }, value: transfers.moving },
    ]),
    counter('coterie_transferred_records_total', 'Records given away to their new owners.', [
      { labels: {}, value: transfers.recordsGiven },
    ]),
    gauge('coterie_background_slices', 'Hundredths of the time that background work may take.', [
      { labels: {}, value: admission.slices },
    ]),
    counter(
      'coterie_background_seconds_total',
      'Time of background tasks, by what it was spent on.',
      admission.tasks.flatMap(({ task, workedMs, restedMs }) => [
        { labels: { task, spent: 'working' }, value: workedMs / 1000 },
        { labels: { task, spent: 'resting' }, value: restedMs / 1000 },
      ]),
    ),
    gauge(
      'coterie_foreground_p99_seconds',
      'p99 of the last minute that background work is weighed against.',
      [
        { labels: { op: 'read' }, value: (admission.readP99Ms ?? NaN) / 1000 },
        { labels: { op: 'write' }, value: (admission.writeP99Ms ?? NaN) / 1000 },
      ].filter(({ value }) => !Number.isNaN(value)),
    ),
    gauge(
      'coterie_peer_clock_offset_seconds',
      "How far a peer's wall clock is ahead of this node's, as of the scrape before.",
      [...clockOffsets].map(([peer, ms]) => ({ labels: { peer }, value: ms / 1000 })),
    ),
    gauge(
      'coterie_storage_pages',
      'Pages of the data file by table; `free` may be used again.',
      pages.map(({ table, pages: value }) => ({ labels: { table }, value })),
    ),
    gauge(
      'coterie_storage_entries',
      'Entries by table.',
      pages.flatMap(({ table, entries }) =>
        entries === undefined ? [] : [{ labels: { table }, value: entries }],
      ),
    ),
  ];
};

const gauge = (name: string, help: string, values: Metric['values']): Metric => ({
  ...{ name, help, type: 'gauge', values },
});

const counter = (name: string, help: string, values: Metric['values']): Metric => ({
  ...{ name, help, type: 'counter', values },
});

/**
 * What a node can say of itself in numbers, as data: Prometheus names, units and help texts. Read
 * when somebody asks; only requests are counted as they pass (meters.ts).
 */
import type { Buckets } from '../../core/buckets.ts';
import { backgroundMetrics } from './background-metrics.ts';
import type { BackgroundParts } from './background-metrics.ts';
import type { Meters } from './meters.ts';
import type { NodeState, Status } from '../status.ts';

export type Labels = Readonly<Record<string, string | number>>;

export type Metric = {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** `name`: where it differs, as the buckets of a histogram do. */
  readonly values: readonly {
    readonly labels: Labels;
    readonly value: number;
    readonly name?: string;
  }[];
};

export type MetricParts = {
  readonly status: Status;
  readonly state: NodeState;
  readonly meters: Meters;
  /** Requests not answered yet, and how many may be. */
  readonly waiting: number;
  readonly room: number;
  readonly hints: readonly HintFacts[];
  readonly usage: { readonly fileBytes: number; readonly freeBytes: number };
  readonly wallMs: number;
} & BackgroundParts;

export type HintFacts = {
  readonly target: string;
  readonly count: number;
  /** When the oldest of them was kept, wall clock. */
  readonly sinceMs: number | undefined;
};

const STATES: readonly NodeState[] = ['joining', 'serving', 'draining', 'stopped'];

export const metricsOf = (parts: MetricParts): readonly Metric[] => {
  const { status, state, meters, hints, usage, wallMs } = parts;
  const others = status.nodes.filter(({ id }) => id !== status.node);
  const own = status.nodes.find(({ id }) => id === status.node);
  return [
    ...requestMetrics(meters),
    {
      ...gauge('coterie_state', '1 for the state this node is in, 0 for the others.'),
      values: STATES.map((each) => ({ labels: { state: each }, value: Number(each === state) })),
    },
    one('coterie_coordinators', 'Coordinators alive: requests being served.', status.coordinators),
    one('coterie_requests_waiting', 'Requests that are not answered yet.', parts.waiting),
    one(
      'coterie_requests_waiting_limit',
      'How many may be: it sinks while the event loop is late, and the others are OVERLOADED.',
      parts.room,
    ),
    one('coterie_client_connections', 'Open connections of clients.', status.clients),
    one(
      'coterie_buffered_objects',
      'Objects in the memory buffer, not yet on disk.',
      status.buffered,
    ),
    one(
      'coterie_partitions_owned',
      'Partitions this node owns a replica of.',
      own?.partitions ?? 0,
    ),
    one(
      'coterie_partitions_incomplete',
      'Owned partitions that are being refilled: their reads are NOT_READY.',
      status.incomplete,
    ),
    {
      ...gauge(
        'coterie_peer_up',
        '1 if the peer is healthy as this node sees it, 0.5 suspect, 0 down.',
      ),
      values: others.map(({ id, health }) => ({ labels: { peer: id }, value: UP[health] ?? 0 })),
    },
    total(
      'coterie_peer_mail_dropped_total',
      'Messages lost because a link was absent or full.',
      status.peerMailDropped,
    ),
    {
      ...gauge('coterie_hints', 'Hints kept for a node that missed writes.'),
      values: hints.map(({ target, count }) => ({ labels: { target }, value: count })),
    },
    {
      ...gauge('coterie_hint_oldest_age_seconds', 'Age of the oldest hint kept for a node.'),
      values: hints.flatMap(({ target, sinceMs }) =>
        sinceMs === undefined
          ? []
          : [{ labels: { target }, value: Math.max(0, wallMs - sinceMs) / 1000 }],
      ),
    },
    {
      name: 'coterie_row_cache_reads_total',
      type: 'counter',
      help: 'Rows that gets and puts read of what is stored: found in memory, or read from the disk.',
      values: (['hits', 'misses'] as const).map((outcome) => ({
        labels: { outcome },
        value: status.rowCache[outcome],
      })),
    },
    total(
      'coterie_damaged_rows_total',
      'Reads that found a damaged row since the start.',
      status.damaged,
    ),
    total(
      'coterie_read_repairs_total',
      'Records sent to owners that a read found behind.',
      status.readRepairs.sent,
    ),
    total(
      'coterie_read_repairs_skipped_total',
      'Owners that a read found behind and left to anti-entropy: there were too many.',
      status.readRepairs.skipped,
    ),
    total('coterie_scrub_rows_total', 'Rows that scrubbing has looked at.', status.scrub.rows),
    {
      name: 'coterie_scrub_found_total',
      type: 'counter',
      help: 'What scrubbing found wrong: damaged and misplaced rows, miscounted leaves of trees, damaged rows of the log, damaged hints.',
      values: (['damaged', 'misplaced', 'miscounted', 'logged', 'hints'] as const).map((kind) => ({
        labels: { kind },
        value: status.scrub[kind],
      })),
    },
    {
      name: 'coterie_peer_nonsense_total',
      type: 'counter',
      help: 'What peers said that cannot be, and that was passed over, by what it was about.',
      values: [...meters.nonsense].map(([about, value]) => ({ labels: { about }, value })),
    },
    one('coterie_storage_file_bytes', 'Size of the data file.', usage.fileBytes),
    one('coterie_storage_free_bytes', 'Free bytes on the disk of the data file.', usage.freeBytes),
    ...backgroundMetrics(parts),
  ];
};

/** When the certificate of the listening port ends; nothing without one. */
export const certificateMetrics = (endsMs: number | undefined): readonly Metric[] =>
  endsMs === undefined
    ? []
    : [
        one(
          'coterie_certificate_expiry_timestamp_seconds',
          'When the certificate of the listening port ends, seconds since 1970.',
          endsMs / 1000,
        ),
      ];

const UP: Readonly<Record<string, number>> = { healthy: 1, suspect: 0.5 };

const requestMetrics = (meters: Meters): readonly Metric[] => [
  histogram(
    'coterie_request_duration_seconds',
    'Time from a request to its answer at this node, by operation and outcome (ok or an error code).',
    meters.durations,
  ),
  histogram('coterie_value_bytes', 'Bytes of the values written and read.', meters.valueBytes),
  histogram(
    'coterie_get_siblings',
    'Concurrent values of a key that a get found.',
    meters.siblings,
  ),
];

const gauge = (name: string, help: string) => ({ name, help, type: 'gauge' }) as const;

const one = (name: string, help: string, value: number): Metric => ({
  ...gauge(name, help),
  values: [{ labels: {}, value }],
});

const total = (name: string, help: string, value: number): Metric => ({
  ...one(name, help, value),
  type: 'counter',
});

const histogram = (
  name: string,
  help: string,
  series: readonly { readonly labels: Labels; readonly buckets: Buckets }[],
): Metric => ({
  ...{ name, help, type: 'histogram' },
  values: series.flatMap(({ labels, buckets }) => [
    ...buckets.cumulative().map((value, i) => ({
      ...{ name: `${name}_bucket`, value, labels: { ...labels, le: buckets.bounds[i]! } },
    })),
    { name: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: buckets.count },
    { name: `${name}_sum`, labels, value: buckets.sum },
    { name: `${name}_count`, labels, value: buckets.count },
  ]),
});

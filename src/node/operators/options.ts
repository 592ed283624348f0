/** The settings of a node that are no limits: who it is, where it listens, whom it trusts. */

type Common = {
  readonly about: string;
  readonly change: 'live' | 'restart';
};

export type Option = Common &
  (
    | { readonly kind: 'text' | 'path'; readonly value?: string }
    | { readonly kind: 'flag'; readonly value: boolean }
    | { readonly kind: 'list'; readonly value: readonly string[] }
    | { readonly kind: 'choice'; readonly value: string; readonly choices: readonly string[] }
    | {
        readonly kind: 'count';
        readonly value?: number;
        readonly min: number;
        readonly max: number;
      }
  );

const text = (about: string, value?: string): Option => ({
  ...{ kind: 'text', about, change: 'restart' },
  ...(value === undefined ? {} : { value }),
});
const path = (about: string): Option => ({ kind: 'path', about, change: 'restart' });
const list = (about: string): Option => ({ kind: 'list', value: [], about, change: 'restart' });
const flag = (about: string): Option => ({ kind: 'flag', value: false, about, change: 'restart' });
const count = (about: string, min: number, max: number): Option => ({
  ...{ kind: 'count', min, max, about, change: 'restart' },
});

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;

export const OPTIONS = {
  id: text('Stable name of this node. Default: the one in the data directory, else a random one.'),
  data: path('Data directory; one process at a time. `coterie start` must be told.'),
  listen: text(
    'host:port where clients and nodes connect; port 0 picks a free one.',
    '127.0.0.1:7400',
  ),
  admin: text(
    'host:port of the admin listener, where the inspector lives; `off`: none. Port 0 picks a free one.',
    '127.0.0.1:0',
  ),
  allowFaults: flag('Let the inspector break things on purpose, and write. For local clusters.'),
  showValues: flag('Let the inspector show the bytes of values, not only how many there are.'),
  advertise: text(
    'ws:// or wss:// address under which others reach this node. Default: where it listens.',
  ),
  bootstrap: text(
    'Founds a cluster at the first start: id[@zone][*weight],… the same on each founder.',
  ),
  seed: list('ws:// addresses of other nodes. Seeds never found a cluster.'),
  zone: text("This node's failure domain; must agree with bootstrap."),
  weight: count("This node's share of data; must agree with bootstrap.", 1, 100),
  n: count('Replicas of each key, fixed when the cluster is founded. Default: 3.', 1, 16),
  partitions: count(
    'Partitions of the ring, a power of two, fixed when the cluster is founded. Default: 256.',
    1,
    65_536,
  ),
  cluster: text('Name of the cluster; distinguishes clusters with equal founders.'),
  'tls.cert': path('Certificate for the port of clients and nodes, PEM; with tls.key.'),
  'tls.key': path('Its private key, PEM.'),
  'tls.ca': path(
    'Who signs the certificates of nodes, PEM: every node must show one that bears its id.',
  ),
  secretFile: path(
    'Cluster secret, at least 32 characters; two lines while it changes: the first proves, both are accepted.',
  ),
  tokensFile: path('Tokens of clients with their roles, as `coterie token add` writes them.'),
  origins: list('Browser origins that may connect; a connection without an Origin always may.'),
  hosts: list('Names this node answers to, besides loopback names and the one it listens on.'),
  defaults: list(
    'What requests get that do not say, by key prefix: cart:=r:2+w:2+dw:1, session:=lww+ttl:1800000 (ms).',
  ),
  logLevel: {
    ...{ kind: 'choice', value: 'info', choices: LOG_LEVELS, change: 'live' },
    about: 'What is logged, as JSON lines on stderr.',
  },
  logKeys: {
    ...{ kind: 'choice', value: 'escaped', choices: ['escaped', 'hashed'], change: 'restart' },
    about: 'How keys stand in the log: as escaped text, or hashed (equal keys stay equal).',
  },
  drain: flag('When stopped, deliver the hints kept for reachable nodes first.'),
  insecure: flag(
    'Allow a listen address beyond loopback where strangers could join, read or write.',
  ),
} as const satisfies Readonly<Record<string, Option>>;

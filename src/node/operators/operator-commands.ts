/**
 * What operators ask of one node (`coterie ring`, `hints`, `top-keys`, `explain`, `config set`). Every
 * answer names the node it comes from, and none holds a byte of a value.
 */
import { CoterieError } from '../../core/errors.ts';
import { hexOf, partitionId, showKey } from '../../core/ids.ts';
import type { Key, NodeId } from '../../core/ids.ts';
import { leafOf } from '../../core/merkle.ts';
import type { RecordOfKey, Sibling } from '../../core/record.ts';
import type { Clock } from '../../ports/clock.ts';
import { badArgument, checkedKey } from '../../wire/fields.ts';
import { uintArgument } from './admin-commands.ts';
import type { AdminArguments, AdminCommands } from './admin-commands.ts';
import type { Completeness } from '../store/completeness.ts';
import type { LiveSettings } from './live-settings.ts';
import type { Meters } from './meters.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { Replica } from '../store/replica.ts';
import type { RingView } from '../membership/ring-view.ts';

export type OperatorParts = {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly ring: RingView;
  readonly store: RecordStore;
  readonly replica: Replica;
  readonly completeness: Completeness;
  readonly meters: Meters;
  readonly settings: LiveSettings;
  /** The addresses that nodes have announced. */
  readonly addressOf: (node: NodeId) => string;
  /** What is remembered of requests on a key, newest first; absent where nothing is. */
  readonly requestsOn: ((key: Key) => readonly object[]) | undefined;
};

/** Partitions in one answer of `ring.owners`. */
const OWNERS_MAX = 1024;
const KEYS_MAX = 100;
/** Requests in one answer of `key.explain`. */
const REQUESTS_MAX = 10;

export const operatorCommands = (parts: OperatorParts): AdminCommands => {
  const { self, settings } = parts;
  return {
    'ring.show': (_, answer) => answer(ringOf(parts)),
    'ring.owners': (args, answer) => answer(ownersOf(parts, args)),
    'hints.show': (_, answer) => answer(hintsOf(parts)),
    'keys.top': (args, answer) => {
      const many = uintArgument(args, 'many', KEYS_MAX + 1) ?? 10;
      const { asked, sampledOf, keys } = parts.meters.topKeys(many);
      const shown = keys.map(({ key, count }) => ({ key: showKey(key), count }));
      answer({ node: self, asked, sampledOf, keys: shown });
    },
    'key.explain': (args, answer) => answer(explanationOf(parts, keyArgument(args))),
    'config.show': (_, answer) => answer({ node: self, settings: settings.list() }),
    'config.set': (args, answer) => {
      const { name, value } = args;
      if (typeof name !== 'string') throw badArgument('the argument name', 'text', name);
      try {
        answer({ node: self, name, ...settings.set(name, value) });
      } catch (error) {
        if (error instanceof RangeError) throw new CoterieError('BAD_ARGUMENT', error.message);
        throw error;
      }
    },
  };
};

/** Who holds how much of the ring, and how much is on the move. */
const ringOf = ({ self, ring, addressOf }: OperatorParts) => {
  const { table, target, members, partitions, n } = ring.ring;
  const nodes = ring.nodes().map((id) => {
    const member = members.find((each) => each.id === id);
    return {
      id,
      zone: member?.zone ?? '',
      weight: member?.weight ?? 0,
      health: ring.healthOf(id),
      address: addressOf(id),
      owns: ring.partitionsOf(id),
      /** Where it is first in the preference list: it coordinates most of their writes (B5). */
      leads: table.filter(([first]) => first === id).length,
      target: target.filter((owners) => owners.includes(id)).length,
    };
  });
  return { node: self, partitions, n, moving: ring.moving().length, nodes };
};

/** Owners by partition: of a key, of one partition, or of a page of them. */
const ownersOf = ({ self, ring }: OperatorParts, args: AdminArguments) => {
  const { partitions } = ring.ring;
  const key = args['key'] === undefined ? undefined : keyArgument(args);
  const only = key === undefined ? undefined : ring.placeOf(key).partition;
  const from = only ?? uintArgument(args, 'from', partitions) ?? 0;
  const asked = only === undefined ? (uintArgument(args, 'many') ?? OWNERS_MAX) : 1;
  const many = Math.min(asked, OWNERS_MAX, ring.ring.table.length - from);
  const owners = Array.from({ length: Math.max(0, many) }, (_, i) => {
    const partition = partitionId(from + i);
    const moving = { newcomers: ring.newcomersOf(partition), version: ring.versionOf(partition) };
    return { partition, owners: ring.ring.table[partition]!, ...moving };
  });
  return { node: self, partitions, owners };
};

const hintsOf = ({ self, ring, store, clock }: OperatorParts) => ({
  node: self,
  total: store.hints.total,
  targets: store.hints.gauges().map(({ target, count, sinceMs }) => ({
    target,
    health: ring.healthOf(target),
    count,
    ...(sinceMs === undefined ? {} : { oldestMs: Math.max(0, clock.wallMs() - sinceMs) }),
  })),
});

/** Where a key lives, whom a request would ask in which order, and what this node holds of it. */
const explanationOf = (parts: OperatorParts, key: Key) => {
  const { self, ring, store, replica, completeness } = parts;
  const { partition, position } = ring.placeOf(key);
  const record = replica.read(key);
  const targets = store.hints.gauges().map(({ target }) => target);
  return {
    node: self,
    key: showKey(key),
    partition,
    position: hexOf(position),
    leaf: leafOf(position, ring.ring.partitions),
    preference: ring.preferenceOf(key),
    newcomers: ring.newcomersOf(partition),
    complete: completeness.isComplete(partition),
    hintsFor: targets.filter((target) => store.hints.find(target, key) !== undefined),
    record: record === undefined ? null : pictured(record),
    requests: parts.requestsOn?.(key).slice(0, REQUESTS_MAX) ?? null,
    hash: store.hashOf(store.open(key)).toString(16).padStart(16, '0'),
  };
};

const pictured = ({ vector, siblings, seen }: RecordOfKey) => ({
  vector: vector.map(({ actor, n, time }) => ({ actor, n, time })),
  siblings: siblings.map(({ dot, value, putId, writtenAt, expiresAt }: Sibling) => ({
    actor: dot.actor,
    n: dot.n,
    kind: typeof value === 'string' ? value : 'value',
    bytes: typeof value === 'string' ? 0 : value.length,
    putId,
    writtenAt,
    ...(expiresAt === undefined ? {} : { expiresAt }),
  })),
  seen: seen.count,
});

/** The key of an argument, bytes or text. Throws CoterieError. */
const keyArgument = ({ key }: AdminArguments): Key => {
  if (key instanceof Uint8Array) return checkedKey(key);
  if (typeof key === 'string') return checkedKey(new TextEncoder().encode(key));
  throw badArgument('the argument key', 'a key', key);
};

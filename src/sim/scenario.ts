/**
 * What one seed means, drawn as data before anything runs: the cluster, the strikes of fate and the
 * operations of the clients. The world interprets it and passes over what does not apply, so that
 * any part of it can be left out and the rest stays what it was: that is how a story is shrunk.
 */
import { DEFAULT_CONFIG } from '../node/config.ts';
import type { Config } from '../node/config.ts';
import type { Random } from '../ports/random.ts';
import type { PutCommand } from '../wire/peer-messages.ts';
import { FAULTS, FAULT_NAMES } from './faults.ts';
import type { FaultName } from './faults.ts';
import type { NetworkFaults } from './network.ts';
import { randomStream } from './random.ts';

/** One blow of a fault. Places and sizes are fractions, so that they fit any number of nodes. */
export type Strike = {
  readonly index: number;
  readonly kind: FaultName;
  readonly atMs: number;
  readonly where: number;
  readonly other: number;
  readonly size: number;
  readonly chance: number;
};

/** One thing a client does; it chooses again, by its fractions, at each try. */
export type OperationPlan = {
  readonly index: number;
  readonly client: number;
  /** Pause after the client's operation before, ms. */
  readonly pauseMs: number;
  readonly key: number;
  /**
   * `update`: get, then put with its context; `blind`: a put without one; `follow`: a put with the
   * context that the client's own last put of the key answered with; `scan`: of the partition of a
   * key that is put just before it, if there are fresh ones left, or of the key it wrote last.
   */
  readonly kind: 'update' | 'blind' | 'follow' | 'delete' | 'read' | 'scan';
  readonly mode: 'causal' | 'last-write-wins';
  /** Undefined: the cluster's default. */
  readonly r: number | undefined;
  readonly w: number | undefined;
  readonly dw: number | undefined;
  readonly strict: boolean;
  /** Under which condition it writes, if it is a causal put or delete (A12). */
  readonly onlyIf: PutCommand['onlyIf'];
  /** How long its value lives, ms; undefined: for ever. */
  readonly ttlMs: number | undefined;
  /** The node of each try. */
  readonly via: readonly number[];
  /** By try: whether the answer is lost on the way to the client. */
  readonly deaf: readonly boolean[];
  /** `hedged`: the same put goes to a second node at once. `again`: once more after it was applied. */
  readonly twice: 'no' | 'hedged' | 'again';
};

export type Scenario = {
  readonly seed: number;
  /** Nodes that found the cluster. */
  readonly founders: number;
  /** Nodes that wait to be joined. */
  readonly spares: number;
  readonly zones: number;
  readonly keys: readonly string[];
  /** Those of them that are put once, each just before its partition is scanned. */
  readonly freshKeys: readonly string[];
  readonly clients: number;
  readonly config: Config;
  /** Whether deletes are old enough to be forgotten within the run. */
  readonly forgets: boolean;
  /** `tiny`: K and M of A6 so small that records are truncated all the time. */
  readonly limits: 'roomy' | 'tiny';
  /** Nothing is ever lost, and anti-entropy rests: hints alone must make owners equal. */
  readonly hintsOnly: boolean;
  readonly network: NetworkFaults;
  /** How far each client's clock is off, ms. */
  readonly clientSkewMs: readonly number[];
  readonly strikes: readonly Strike[];
  readonly operations: readonly OperationPlan[];
  /** Nodes that die at the end of the faults and never come back. */
  readonly leftDead: number;
  /** Whether an operator removes the dead at the beginning of calm, or only if nothing else helps. */
  readonly removesDead: boolean;
};

export type ScenarioOptions = {
  /** Nodes that found the cluster. */
  readonly nodes?: number;
  readonly keys?: number;
  readonly clients?: number;
  readonly operations?: number;
  /** Kinds of faults that may strike; `network`: loss, duplication and reordering of frames. */
  readonly faults?: 'all' | 'none' | readonly (FaultName | 'network')[];
  readonly limits?: 'roomy' | 'tiny';
  /** Values are baskets of a merger on trial: all keys are written causally, none is truncated. */
  readonly baskets?: boolean;
  /** Only these strikes and operations, by index. */
  readonly onlyStrikes?: readonly number[];
  readonly onlyOperations?: readonly number[];
};

/** How long faults strike, ms; what the clients have not done by then they do in calm. */
export const FAULTS_MS = 20_000;
const TICK_MS = 100;
const OPERATIONS = 720;
/** More keys where partitions are scanned: what is in memory only is best missed when it is new. */
const SCANNED_KEYS = 6;
/** An owner that lacks a write lists the key all the same if it has an older one. */
const FRESH_KEYS = 16;
/** No value with a time to live lives longer, ms. */
const TTL_MS_MAX = 6000;
export const TRIES_MAX = 4;
/** Roomy: nothing of a run is ever truncated, so that false siblings and resurrections show. */
const RECORD_LIMITS = {
  roomy: { vectorEntriesMax: 512, seenPutsMax: 512 },
  tiny: { vectorEntriesMax: 2, seenPutsMax: 2 },
} as const;

export const scenarioOf = (seed: number, options: ScenarioOptions = {}): Scenario => {
  const random = randomStream(seed, 'scenario');
  const drawn = {
    nodes: 3 + pick(random, [0, 0, 1, 2, 2, 3, 4]),
    zones: pick(random, [1, 1, 2, 3]),
    keys: 4 + random.integer(8),
    clients: 6 + random.integer(9),
    limits: pick(random, ['roomy', 'roomy', 'roomy', 'roomy', 'tiny'] as const),
    leftDead: pick(random, [0, 0, 0, 0, 1, 2]),
    spares: pick(random, [0, 1, 1, 2, 3]),
    removesDead: random.fraction() < 0.5,
    hintsOnly: random.fraction() < 0.12,
  };
  const hintsOnly = drawn.hintsOnly && options.limits !== 'tiny';
  const forgets = !hintsOnly && randomStream(seed, 'forgets').fraction() < 0.4;
  const founders = options.nodes ?? drawn.nodes;
  const limits = hintsOnly || options.baskets ? 'roomy' : (options.limits ?? drawn.limits);
  const calm = options.faults === 'none';
  const clients = options.clients ?? drawn.clients;
  const config = { ...configOf(seed, limits, calm, forgets), ...(forgets ? FORGETFUL : {}) };
  const strikes = strikesOf(seed).filter(
    ({ kind }) =>
      mayStrike(options, kind) &&
      (!hintsOnly || LOSES_NOTHING.includes(kind)) &&
      !(forgets && UNFORGETTING.has(kind)),
  );
  const hasScans = scanChanceOf(seed) > 0;
  const freshKeys = hasScans && !options.baskets ? freshKeysOf(FRESH_KEYS) : [];
  const keys = options.baskets
    ? basketsOf(options.keys ?? 2)
    : keysOf(options.keys ?? (hasScans ? drawn.keys + SCANNED_KEYS : drawn.keys));
  return {
    seed,
    founders,
    spares: mayStrike(options, 'join') || mayStrike(options, 'replace') ? drawn.spares : 0,
    limits,
    forgets,
    clients,
    zones: Math.min(drawn.zones, founders),
    keys: [...keys, ...freshKeys],
    freshKeys,
    config: hintsOnly ? withHintsOnly(config) : config,
    network: networkOf(seed, mayStrike(options, 'network')),
    clientSkewMs: Array.from({ length: clients }, () =>
      calm ? 0 : Math.floor((random.fraction() - 0.5) * 2000),
    ),
    strikes: strikes.filter(({ index }) => options.onlyStrikes?.includes(index) ?? true),
    hintsOnly,
    operations: operationsOf(seed, clients, options.operations ?? OPERATIONS).filter(
      ({ index }) => options.onlyOperations?.includes(index) ?? true,
    ),
    leftDead:
      mayStrike(options, 'power-loss') && !hintsOnly ? Math.min(drawn.leftDead, founders - 2) : 0,
    removesDead: drawn.removesDead,
  };
};

const mayStrike = ({ faults = 'all' }: ScenarioOptions, name: FaultName | 'network'): boolean =>
  faults === 'all' || (faults !== 'none' && faults.includes(name));

/**
 * Most keys are written causally; of the last two one by last-write-wins only, one by both. What
 * every other one holds neither is deleted nor expires: it must be in every scan.
 */
const keysOf = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => {
    if (i > 0 && i === count - 1) return 'last0';
    if (i > 1 && i === count - 2) return 'mixed0';
    return i % 2 === 1 ? `kept${i}` : `key${i}`;
  });

const freshKeysOf = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `fresh${i}`);

/** Few, so that clients meet there. */
const basketsOf = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `basket${i}`);

/** Whether what a key holds may be deleted, or expire. */
export const mayGo = (key: string): boolean => !/^(kept|fresh)/.test(key);

export const modeOn = (key: string, planned: OperationPlan['mode']): OperationPlan['mode'] => {
  if (key.startsWith('mixed')) return planned;
  return key.startsWith('last') ? 'last-write-wins' : 'causal';
};

/** Deletes are forgotten within seconds: rounds and walks follow each other, retries grow old soon. */
const FORGETFUL: Partial<Config> = {
  reap: { ...DEFAULT_CONFIG.reap, scanIntervalMs: 1000, intervalMs: 1000, fenceDelayMs: 1000 },
};
const RETRIES_MS = { retryHorizonMs: 3000, writtenAtAheadMs: 3000 };

/**
 * What undoes an agreement by its nature: a clock set back takes older retries for young ones, and
 * an old backup brings back what was forgotten.
 */
const UNFORGETTING: ReadonlySet<FaultName> = new Set(['clock-jump', 'old-backup']);

const configOf = (
  seed: number,
  limits: 'roomy' | 'tiny',
  calm: boolean,
  forgets: boolean,
): Config => {
  const random = randomStream(seed, 'config');
  const rarely = <T>(usual: T, ...rare: readonly T[]): T =>
    calm || random.fraction() < 0.75 ? usual : pick(random, rare);
  return {
    ...DEFAULT_CONFIG,
    exchangeIntervalMs: rarely(1000, 200, 5000),
    replica: {
      ...DEFAULT_CONFIG.replica,
      ...(forgets ? RETRIES_MS : {}),
      record: RECORD_LIMITS[limits],
      bufferedObjectsMax: rarely(1000, 1, 6),
      hintsMax: rarely(1_000_000, 0, 2, 10),
      siblingsMax: rarely(1024, 4),
    },
    coordinatorsMax: rarely(4096, 3, 12),
    flushIntervalMs: rarely(100, 20, 400),
    groupCommitMs: rarely(1, 0, 10),
    patienceMs: rarely(200, 20, 600),
    lingerMs: rarely(1000, 0, 200),
    hintBatchMax: rarely(256, 1),
  };
};

/** Faults after which every owner still has every write by hints alone. */
const LOSES_NOTHING: readonly FaultName[] = [
  ...(['cut', 'clog', 'partition', 'reset', 'congestion', 'pause'] as const),
  ...(['clock-jump', 'clock-drift', 'slow-disk'] as const),
];
const NEVER_MS = 600_000;

const withHintsOnly = (config: Config): Config => ({
  ...config,
  exchangeIntervalMs: NEVER_MS,
  replica: { ...config.replica, hintsMax: DEFAULT_CONFIG.replica.hintsMax },
});

const networkOf = (seed: number, mayFail: boolean): NetworkFaults => {
  const random = randomStream(seed, 'network faults');
  const chance = (most: number): number => chanceOf(random, most);
  const faults = { loss: chance(0.1), duplication: chance(0.1), reordering: chance(0.2) };
  const delayMs = pick(random, [
    [0.1, 1],
    [0.1, 1],
    [0.1, 40],
  ] as const);
  return mayFail ? { delayMs, ...faults } : { delayMs, loss: 0, duplication: 0, reordering: 0 };
};

/** Each kind has a chance of its own for each tick, and a stream of its own: a new one moves no other. */
const strikesOf = (seed: number): readonly Strike[] => {
  const strikes = FAULT_NAMES.flatMap((kind) => {
    const random = randomStream(seed, `fault ${kind}`);
    const perTick = chanceOf(random, (FAULTS[kind].perSecondMax * TICK_MS) / 1000);
    return Array.from({ length: FAULTS_MS / TICK_MS }, (_, tick) => ({
      kind,
      strikes: random.fraction() < perTick,
      atMs: tick * TICK_MS + random.fraction() * TICK_MS,
      where: random.fraction(),
      other: random.fraction(),
      size: random.fraction(),
      chance: random.fraction(),
    })).filter((each) => each.strikes);
  });
  return strikes
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ strikes: _, ...strike }, index) => ({ index, ...strike }));
};

const operationsOf = (seed: number, clients: number, count: number): readonly OperationPlan[] => {
  const mix = randomStream(seed, 'mix');
  const hot = mix.fraction() * 0.7;
  const kinds = weighted(mix, { update: 6, blind: 2, follow: 2, delete: 1.5, read: 2 });
  const strict = chanceOf(mix, 0.4);
  const hedged = chanceOf(mix, 0.1);
  const again = chanceOf(mix, 0.1);
  const deaf = chanceOf(mix, 0.15);
  const paceMs = pick(mix, [20, 60, 200]);
  const conditional = chanceOf(mix, 0.4);
  const mortal = chanceOf(mix, 0.4);
  const scanned = scanChanceOf(seed);
  return Array.from({ length: count }, (_, index) => {
    const random = randomStream(seed, `operation ${index}`);
    const twice = random.fraction();
    const quorum = (): number | undefined => pick(random, [undefined, 1, 2, 2, 3]);
    const plan: Omit<OperationPlan, 'onlyIf' | 'ttlMs'> = {
      index,
      client: index % clients,
      pauseMs: random.fraction() * paceMs,
      key: random.fraction() < hot ? 0 : random.fraction(),
      kind: kinds(random),
      mode: random.fraction() < 0.3 ? 'last-write-wins' : 'causal',
      r: quorum(),
      w: quorum(),
      dw: pick(random, [undefined, 0, 0, 1, 1, 2, 3]),
      strict: random.fraction() < strict,
      via: Array.from({ length: 2 * TRIES_MAX }, () => random.fraction()),
      deaf: Array.from({ length: 2 * TRIES_MAX }, () => random.fraction() < deaf),
      twice: twice < hedged ? 'hedged' : twice < hedged + again ? 'again' : 'no',
    };
    const isConditional = random.fraction() < conditional;
    const onlyIf = pick(random, ['absent', 'seen'] as const);
    const isMortal = random.fraction() < mortal;
    const ttlMs = 200 + Math.floor(random.fraction() * (TTL_MS_MAX - 200));
    return {
      ...plan,
      kind: random.fraction() < scanned ? 'scan' : plan.kind,
      onlyIf: isConditional ? onlyIf : undefined,
      ttlMs: isMortal ? ttlMs : undefined,
    };
  });
};

const scanChanceOf = (seed: number): number => chanceOf(randomStream(seed, 'scans'), 0.2);

/** Exactly zero for two seeds of five, else anything up to `most`. */
const chanceOf = (random: Random, most: number): number => {
  const [isZero, share] = [random.fraction() < 0.4, random.fraction()];
  return isZero ? 0 : share * most;
};

/** Draws of these names, each in its share, which is itself drawn around the usual weight. */
const weighted = <Name extends string>(
  random: Random,
  weights: Readonly<Record<Name, number>>,
): ((random: Random) => Name) => {
  const names = Object.keys(weights) as Name[];
  const shares = names.map((name) => weights[name] * random.fraction() * 2);
  const total = shares.reduce((sum, share) => sum + share, 0);
  return (each) => {
    let left = each.fraction() * total;
    return names.find((_, i) => (left -= shares[i]!) < 0) ?? names[0]!;
  };
};

const pick = <T>(random: Random, choices: readonly T[]): T =>
  choices[random.integer(choices.length)]!;

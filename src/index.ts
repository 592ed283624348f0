/**
 * `coterie`: a node inside any Node.js program. This is where the real adapters are handed to the
 * composition in `src/node`; everything else gets its time, chance, disk and network from there.
 */
import { openCredentials } from './adapters/credentials.ts';
import type { SecurityFiles } from './adapters/credentials.ts';
import { lockDataDirectory } from './adapters/data-lock.ts';
import { pinoTrace } from './adapters/pino-trace.ts';
import { nodeDigest } from './adapters/node-digest.ts';
import { loopBusyMs, systemClock } from './adapters/system-clock.ts';
import { systemRandom } from './adapters/system-random.ts';
import { openWsLinks } from './adapters/ws-links.ts';
import type { WsLinks } from './adapters/ws-links.ts';
import { openAdmin } from './admin.ts';
import { clientOver } from './client/index.ts';
import type { Client } from './client/index.ts';
import type { NodeId } from './core/ids.ts';
import { isPartitionCount } from './core/ring.ts';
import { claimDataDirectory, claimOf } from './data-directory.ts';
import { storyCommands } from './inspector/story-commands.ts';
import { faultCommands } from './inspector/fault-commands.ts';
import { Faults } from './inspector/faults.ts';
import type { ProcessHost } from './inspector/faults.ts';
import { createInspector } from './inspector/inspector.ts';
import type { Inspector } from './inspector/inspector.ts';
import { RECORDER_LIMITS } from './inspector/recorder.ts';
import { isLoopback, parseListen } from './listen.ts';
import { admissionBy } from './node/clients/client-access.ts';
import type { Config } from './node/config.ts';
import { Node } from './node/node.ts';
import { configWith } from './node/operators/settings.ts';
import type { DeepPartial } from './node/operators/settings.ts';
import { parsePrefixDefaults } from './node/requests/prefix-defaults.ts';
import type { Status } from './node/status.ts';
import type { LogLevel } from './ports/trace.ts';
import type { Storage } from './ports/storage.ts';
import { openStorage } from './storage.ts';

export { CoterieError } from './core/errors.ts';
export { DataDirectoryError } from './adapters/data-lock.ts';
export { nodeDigest } from './adapters/node-digest.ts';
export { serveRecording } from './admin.ts';
export { parseListen } from './listen.ts';
export type { SecurityFiles } from './adapters/credentials.ts';
export { DEFAULT_CONFIG } from './node/config.ts';
export type { Config } from './node/config.ts';
export type { ProcessHost } from './inspector/faults.ts';
export type { Status } from './node/status.ts';

export type NodeOptions = {
  /** Where this node keeps its data; one process at a time. */
  readonly dataDir: string;
  /** The node's stable name; by default the one in `dataDir`, else a random one. */
  readonly id?: string;
  /** `host:port`; port 0 (the default) picks a free one on 127.0.0.1. */
  readonly listen?: string;
  /** `host:port` of the admin listener, where the inspector lives; absent or `off`: there is none. */
  readonly admin?: string;
  /** Lets the inspector show value bytes. */
  readonly showValues?: boolean;
  /** Lets the inspector break this node on purpose, and write; a host kills and starts processes for it. */
  readonly faults?: 'allowed' | ProcessHost;
  /** `ws://host:port` under which others reach this node; by default where it listens. */
  readonly advertise?: string;
  /** Founds a cluster at the first start: `id[@zone][*weight],…`, the same text on each founder. */
  readonly bootstrap?: string;
  /** `ws://host:port` of other nodes. Seeds never found a cluster. */
  readonly seeds?: readonly string[];
  /** Distinguishes clusters with equal founders. */
  readonly clusterName?: string;
  /** Replicas of each key, fixed when the cluster is founded (default 3). */
  readonly n?: number;
  /** Partitions of the ring, a power of two, fixed when the cluster is founded (default 256). */
  readonly partitions?: number;
  readonly logLevel?: LogLevel | 'silent';
  /** Where its lines go; by default stderr. */
  readonly logTo?: { write(line: string): void };
  /** How keys stand in the log: as escaped text (the default), or hashed. */
  readonly logKeys?: 'escaped' | 'hashed';
  /** `hand-over`: a stopping node first delivers the hints kept for reachable nodes. */
  readonly stopping?: 'at-once' | 'hand-over';
  /** Certificate, cluster secret and tokens (README: security). */
  readonly security?: SecurityFiles;
  /** Beyond loopback nodes and clients must be known, or this must say that you know better. */
  readonly insecure?: boolean;
  /** Browser origins that may connect; a connection without an Origin always may. */
  readonly origins?: readonly string[];
  /** Names this node answers to, besides loopback names and where it listens. */
  readonly hosts?: readonly string[];
  /** Limits and intervals other than the defaults (CONFIGURATION.md). */
  readonly config?: DeepPartial<Config>;
  /** Defaults by key prefix, `session:=lww+ttl:1800000`: see node/prefix-defaults.ts. */
  readonly defaults?: readonly string[];
  /**
   * The node ended by itself: it failed, or its cluster removed it too long ago to take it back. By
   * default the process exits with 3 or 5, and the reason on stderr.
   */
  readonly onFailure?: (reason: string, end: 'failed' | 'retired') => void;
};

export type RunningNode = {
  readonly id: string;
  readonly url: string;
  /** Where a browser finds the inspector; undefined without an admin listener. */
  readonly inspectorUrl: string | undefined;
  status(): Status;
  /** The client's API on this node, without a socket. */
  client(): Client;
  /** Reads the files of `security` again. Throws RangeError, with everything left as it was. */
  reload(): void;
  /** Finishes what is in flight, commits what is buffered, closes. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/**
 * Starts a node. Without `bootstrap` and `seeds` an empty `dataDir` founds a cluster of this one
 * node. Throws RangeError for options that cannot be, DataDirectoryError for a directory that is in
 * use or not ours, and the system's error for a listen address that cannot be had.
 */
export const startNode = async (options: NodeOptions): Promise<RunningNode> => {
  const { host, port } = parseListen(options.listen ?? '127.0.0.1:0');
  const { security = {} } = options;
  const credentials = openCredentials(security);
  const doors = isLoopback(host) ? [] : openDoors(security);
  if (doors.length > 0 && options.insecure !== true) {
    throw new RangeError(`listen: beyond loopback on ${host} ${doors.join('; ')}; or say insecure`);
  }
  const { n = 3, partitions = 256, clusterName = 'coterie', seeds = [] } = options;
  if (!Number.isInteger(n) || n < 1 || n > 16) throw new RangeError(`n is 1-16, found ${n}`);
  if (!isPartitionCount(partitions)) {
    throw new RangeError(`partitions is a power of two up to 65536, found ${partitions}`);
  }
  const claim = claimOf(options);
  const config = configWith(options.config ?? {});
  const prefixDefaults = parsePrefixDefaults(options.defaults ?? []);
  const unlock = lockDataDirectory(options.dataDir);
  let storage: Storage | undefined;
  let links: WsLinks | undefined;
  try {
    storage = openStorage(options.dataDir);
    const { id, founders } = claimDataDirectory(storage, claim);
    const tls = credentials.tls();
    links = await openWsLinks({
      host,
      port,
      limits: { ...config.links, frameBytesMax: frameBytesMaxOf(config) },
      ...(tls === undefined ? {} : { tls }),
      ...(options.origins === undefined ? {} : { origins: options.origins }),
      ...(options.hosts === undefined ? {} : { hosts: options.hosts }),
    });
    const { renewTls } = links;
    const url = links.address();
    const log = pinoTrace(options.logLevel ?? 'info', { node: id }, options.logTo);
    const faults = faultsOf(id, options);
    const inspector = inspectorOf(id, options, faults, config);
    const trace = inspector?.recorder.listening(log) ?? log;
    const node = new Node({
      self: id,
      config,
      clock: faults?.clock() ?? systemClock,
      busyMs: loopBusyMs,
      random: systemRandom,
      digest: nodeDigest,
      storage: faults?.storage(storage) ?? storage,
      links: faults?.links(links) ?? links,
      trace,
      logLevels: log.levels,
      commands: { ...faultCommands(id, faults), ...storyCommands(id, inspector?.recorder) },
      advertise: options.advertise ?? url,
      ...(inspector === undefined ? {} : { watch: inspector.recorder }),
      seeds,
      stopping: options.stopping ?? 'at-once',
      ...(options.logKeys === undefined ? {} : { logKeys: options.logKeys }),
      peerTrust: {
        secrets: () => credentials.secrets(),
        certificates: security.tlsCa === undefined ? 'not-asked' : 'required',
      },
      ...(security.tokensFile === undefined
        ? {}
        : {
            admit: admissionBy(() => credentials.tokens(), {
              clock: systemClock,
              digest: nodeDigest,
            }),
          }),
      prefixDefaults,
      ...(founders === undefined ? {} : { founding: { clusterName, n, partitions, founders } }),
      failed: (reason, end) => {
        unlock();
        const whole = end === 'retired' ? `${reason}. ${wayBack(options.dataDir)}` : reason;
        (options.onFailure ?? exitWith)(whole, end);
      },
    });
    for (const door of doors) trace.log('warn', 'security.open', { door });
    // The last thing that can fail: a node that started would go on without its caller.
    const admin = await openAdmin(options.admin, node, inspector, credentials, trace);
    node.start();
    const stop = once(
      () =>
        new Promise<void>((resolve) => {
          node.stop(() => {
            admin?.close();
            unlock();
            resolve();
          });
        }),
    );
    return {
      id,
      url,
      inspectorUrl: admin?.inspectorUrl,
      status: () => node.status(),
      client: () => clientOver(node.handler, { clock: systemClock, random: systemRandom }),
      reload: () => {
        credentials.reload();
        const renewed = credentials.tls();
        if (renewed !== undefined) renewTls(renewed);
        trace.log('info', 'security.reloaded');
      },
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    links?.close(() => undefined);
    storage?.close(() => undefined);
    unlock();
    throw error;
  }
};

/** Only where nobody but this machine's users can reach the page. */
const faultsOf = (self: NodeId, { faults, admin }: NodeOptions): Faults | undefined => {
  if (faults === undefined || admin === undefined || admin === 'off') return undefined;
  if (!isLoopback(parseListen(admin, 'admin').host)) {
    throw new RangeError('allow-faults: only with an admin listener on loopback');
  }
  return new Faults(self, systemClock, faults === 'allowed' ? undefined : faults);
};

const inspectorOf = (
  self: NodeId,
  options: NodeOptions,
  faults: Faults | undefined,
  { slowRequestMs }: Config,
): Inspector | undefined =>
  options.admin === undefined || options.admin === 'off'
    ? undefined
    : createInspector({
        self,
        clock: systemClock,
        random: systemRandom,
        values: options.showValues === true ? 'shown' : 'hidden',
        // Whatever the log calls slow has a story.
        limits: { slowMs: Math.min(RECORDER_LIMITS.slowMs, slowRequestMs) },
        ...(faults === undefined ? {} : { faults }),
      });

/** What a stranger could do on an address beyond loopback, and what would keep him from it. */
const openDoors = ({ tlsCa, secretFile, tokensFile }: SecurityFiles): readonly string[] => [
  ...(tlsCa === undefined && secretFile === undefined
    ? ['any program could join as a node: give secretFile or tls.ca']
    : []),
  ...(tokensFile === undefined ? ['anyone could read and write: give tokensFile'] : []),
];

const frameBytesMaxOf = ({ links }: Config) => ({
  client: links.clientFrameBytesMax,
  peer: links.peerFrameBytesMax,
});

const EXIT = { failed: 3, retired: 5 } as const;

const exitWith = (reason: string, end: keyof typeof EXIT): void => {
  process.stderr.write(`coterie: the node stopped: ${reason}\n`);
  process.exit(EXIT[end]);
};

/** Nobody but people throws away what a node holds. */
const wayBack = (dataDir: string): string =>
  `To use this machine again: empty ${dataDir}, start the node with another --id and with --seed, ` +
  'then let it in: coterie node join <the new id>';

const once = (task: () => Promise<void>): (() => Promise<void>) => {
  let running: Promise<void> | undefined;
  return () => (running ??= task());
};

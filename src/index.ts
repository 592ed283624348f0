/**
 * `coterie`: a node inside any Node.js program. This is where the real adapters are handed to the
 * composition in `src/node`; everything else gets its time, chance, disk and network from there.
 */
import { fileURLToPath } from 'node:url';
import { openAdminListener } from './adapters/admin-listener.ts';
import { openCredentials } from './adapters/credentials.ts';
import type { Credentials, SecurityFiles } from './adapters/credentials.ts';
import { DataDirectoryError, lockDataDirectory } from './adapters/data-lock.ts';
import { openLmdbStorage } from './adapters/lmdb-storage.ts';
import { pinoTrace } from './adapters/pino-trace.ts';
import { nodeDigest } from './adapters/node-digest.ts';
import { prometheus } from './adapters/prometheus.ts';
import { staticRoutes } from './adapters/static-files.ts';
import { systemClock } from './adapters/system-clock.ts';
import { systemRandom } from './adapters/system-random.ts';
import { openWsLinks } from './adapters/ws-links.ts';
import { clientOver } from './client/index.ts';
import type { Client } from './client/index.ts';
import { allows } from './core/access.ts';
import type { TokenEntry } from './core/access.ts';
import { hexOf, nodeId } from './core/ids.ts';
import type { NodeId } from './core/ids.ts';
import { parseFounders } from './core/members.ts';
import type { Founder, History } from './core/members.ts';
import { isPartitionCount } from './core/ring.ts';
import { faultCommands } from './inspector/fault-commands.ts';
import { Faults } from './inspector/faults.ts';
import type { ProcessHost } from './inspector/faults.ts';
import { createInspector } from './inspector/inspector.ts';
import type { Inspector } from './inspector/inspector.ts';
import { DATA_FORMAT, loadBook, loadIdentity } from './node/book-store.ts';
import { admissionBy, tokenHash } from './node/client-access.ts';
import { healthRoutes } from './node/health.ts';
import { certificateMetrics } from './node/metrics.ts';
import type { Config } from './node/config.ts';
import { Node } from './node/node.ts';
import { configWith } from './node/settings.ts';
import type { DeepPartial } from './node/settings.ts';
import { parsePrefixDefaults } from './node/prefix-defaults.ts';
import type { Status } from './node/status.ts';
import type { AdminRoute } from './ports/admin.ts';
import type { LogLevel, Trace } from './ports/trace.ts';
import type { Storage } from './ports/storage.ts';

export { CoterieError } from './core/errors.ts';
export { DataDirectoryError } from './adapters/data-lock.ts';
export { nodeDigest } from './adapters/node-digest.ts';
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
  /** The node ended by itself; by default the process exits with 3 and the reason on stderr. */
  readonly onFailure?: (reason: string) => void;
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
  const asked = options.bootstrap === undefined ? undefined : parseFounders(options.bootstrap);
  if (options.id !== undefined) nodeId(options.id);
  const config = configWith(options.config ?? {});
  const prefixDefaults = parsePrefixDefaults(options.defaults ?? []);
  const unlock = lockDataDirectory(options.dataDir);
  let storage: Storage | undefined;
  try {
    storage = openLmdbStorage(options.dataDir);
    const id = nodeId(options.id ?? loadIdentity(storage)?.id ?? randomId());
    const founders = asked ?? (seeds.length === 0 ? [alone(id)] : undefined);
    if (asked !== undefined && !asked.some((founder) => founder.id === id)) {
      throw new RangeError(`--bootstrap must list this node, ${id}`);
    }
    const { history } = loadBook(storage);
    const known = history.length > 0;
    refuseOtherCluster(options.dataDir, history, asked, options.clusterName);
    const earlier = loadIdentity(storage);
    const owner = earlier?.id ?? id;
    if ((earlier?.format ?? DATA_FORMAT) > DATA_FORMAT) {
      const found = `its format is ${earlier?.format}, this version reads up to ${DATA_FORMAT}`;
      throw foreign(options.dataDir, found);
    }
    if (owner !== id) throw foreign(options.dataDir, `it belongs to node ${owner}, not to ${id}`);
    const tls = credentials.tls();
    const links = await openWsLinks({
      host,
      port,
      limits: { ...config.links, frameBytesMax: frameBytesMaxOf(config) },
      ...(tls === undefined ? {} : { tls }),
      ...(options.origins === undefined ? {} : { origins: options.origins }),
      ...(options.hosts === undefined ? {} : { hosts: options.hosts }),
    });
    const url = links.address();
    const log = pinoTrace(options.logLevel ?? 'info', { node: id }, options.logTo);
    const faults = faultsOf(id, options);
    const inspector = inspectorOf(id, options, faults);
    const trace = inspector?.recorder.listening(log) ?? log;
    const node = new Node({
      self: id,
      config,
      clock: faults?.clock() ?? systemClock,
      random: systemRandom,
      digest: nodeDigest,
      storage: faults?.storage(storage) ?? storage,
      links: faults?.links(links) ?? links,
      trace,
      logLevels: log.levels,
      commands: faultCommands(id, faults),
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
      ...(founders === undefined || known
        ? {}
        : { founding: { clusterName, n, partitions, founders } }),
      failed: (reason) => {
        unlock();
        (options.onFailure ?? exitWith)(reason);
      },
    });
    for (const door of doors) trace.log('warn', 'security.open', { door });
    node.start();
    const admin = await adminOf(options.admin, node, inspector, credentials, trace);
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
        if (renewed !== undefined) links.renewTls(renewed);
        trace.log('info', 'security.reloaded');
      },
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    storage?.close(() => undefined);
    unlock();
    throw error;
  }
};

type Admin = { readonly inspectorUrl: string; close(): void };

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
): Inspector | undefined =>
  options.admin === undefined || options.admin === 'off'
    ? undefined
    : createInspector({
        self,
        clock: systemClock,
        random: systemRandom,
        values: options.showValues === true ? 'shown' : 'hidden',
        ...(faults === undefined ? {} : { faults }),
      });

/** The admin listener with all that is served there. Beyond loopback it asks for a token of this start. */
const adminOf = async (
  listen: string | undefined,
  node: Node,
  inspector: Inspector | undefined,
  credentials: Credentials,
  trace: Trace,
): Promise<Admin | undefined> => {
  if (listen === undefined || inspector === undefined) return undefined;
  const { host, port } = parseListen(listen, 'admin');
  const token = isLoopback(host) ? undefined : hexOf(systemRandom.bytes(16));
  const viewers = inspector.attach(node);
  const pages = staticRoutes(INSPECTOR_PAGE, '/inspector');
  const listener = await openAdminListener({
    host,
    port,
    routes: {
      pages: new Map([...pages, ...watchRoutes(node, credentials)]),
      sockets: viewers.sockets,
    },
    failed: (path, error) => trace.log('error', 'admin.failed', { path, error: String(error) }),
    admits: (bearer, path) => mayWatch(credentials.tokens(), bearer, path),
    ...(token === undefined ? {} : { token }),
  });
  const query = token === undefined ? '' : `?token=${token}`;
  const inspectorUrl = `${listener.address()}/inspector${query}`;
  trace.log('info', 'admin.listening', { inspector: inspectorUrl });
  return {
    inspectorUrl,
    close: () => {
      viewers.close();
      listener.close(() => undefined);
    },
  };
};

/** Health and metrics. */
const watchRoutes = (node: Node, credentials: Credentials): ReadonlyMap<string, AdminRoute> => {
  const health = healthRoutes({ state: () => node.state, status: () => node.status() });
  const metrics = prometheus(node.status().node, () => [
    ...node.metrics(),
    ...certificateMetrics(credentials.certificateEndsMs()),
  ]);
  return new Map([...health, ['/metrics', { access: 'token', serve: metrics.serve }]]);
};

/** Metrics for whoever has a token, everything else for admins. */
const mayWatch = (tokens: readonly TokenEntry[], bearer: string, path: string): boolean => {
  const entry = tokens.find(({ hash }) => hash === tokenHash(nodeDigest, bearer));
  if (entry === undefined || (entry.expiresAtMs ?? Infinity) <= Date.now()) return false;
  return path === '/metrics' || allows(entry.grants, { type: 'role', role: 'admin' });
};

/** Serves the page of the inspector with `recording`, the text of one, in it; for this machine only. */
export const serveRecording = async (
  recording: string,
  listen = '127.0.0.1:0',
): Promise<{ readonly url: string; close(done: () => void): void }> => {
  const body = { status: 200, type: 'application/json', body: recording } as const;
  const route = { access: 'token', serve: () => body } as const;
  const pages = staticRoutes(INSPECTOR_PAGE, '/inspector');
  const listener = await openAdminListener({
    ...parseListen(listen),
    routes: {
      pages: new Map([...pages, ['/inspector/recording.json', route]]),
      sockets: new Map(),
    },
  });
  const { close } = listener;
  return { url: `${listener.address()}/inspector?recording`, close };
};

const INSPECTOR_PAGE = fileURLToPath(new URL('./inspector/page', import.meta.url));

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

/** `host:port`, `[v6]:port` or `:port`. Throws RangeError. */
export const parseListen = (
  text: string,
  name = 'listen',
): { readonly host: string; readonly port: number } => {
  const parts = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  if (parts === null || port > 65535) {
    throw new RangeError(`${name}: expected host:port with a port up to 65535, found ${text}`);
  }
  return { host: parts[1] ?? (parts[2] === '' ? '127.0.0.1' : parts[2]!), port };
};

/** A directory that holds another cluster's history is not ours to serve, whatever the flags say. */
const refuseOtherCluster = (
  dataDir: string,
  history: History,
  asked: readonly Founder[] | undefined,
  clusterName: string | undefined,
): void => {
  const created = history.find((event) => event.type === 'create');
  if (created?.type !== 'create') return;
  const idsOf = (founders: readonly Founder[]) => [...founders.map(({ id }) => id)].sort().join();
  const founders = idsOf(created.founders);
  if (asked !== undefined && idsOf(asked) !== founders) {
    throw foreign(dataDir, `it holds the cluster of ${founders}, not of ${idsOf(asked)}`);
  }
  if (clusterName !== undefined && clusterName !== created.clusterName) {
    throw foreign(dataDir, `it holds cluster ${created.clusterName}, not ${clusterName}`);
  }
};

const foreign = (path: string, reason: string): DataDirectoryError =>
  new DataDirectoryError({ type: 'unusable', path, reason });

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127\./.test(host);

const alone = (id: Founder['id']): Founder => ({ id, zone: 'default', weight: 1 });

const randomId = (): string => `node-${hexOf(systemRandom.bytes(4))}`;

const exitWith = (reason: string): void => {
  process.stderr.write(`coterie: the node stopped: ${reason}\n`);
  process.exit(3);
};

const once = (task: () => Promise<void>): (() => Promise<void>) => {
  let running: Promise<void> | undefined;
  return () => (running ??= task());
};

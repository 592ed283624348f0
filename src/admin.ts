/** The admin listener of a node: the inspector's page and feeds, health, metrics. */
import { fileURLToPath } from 'node:url';
import { openAdminListener } from './adapters/admin-listener.ts';
import type { Credentials } from './adapters/credentials.ts';
import { nodeDigest } from './adapters/node-digest.ts';
import { prometheus } from './adapters/prometheus.ts';
import { staticRoutes } from './adapters/static-files.ts';
import { systemRandom } from './adapters/system-random.ts';
import { allows } from './core/access.ts';
import type { TokenEntry } from './core/access.ts';
import { hexOf } from './core/ids.ts';
import type { Inspector } from './inspector/inspector.ts';
import { isLoopback, parseListen } from './listen.ts';
import { tokenHash } from './node/clients/client-access.ts';
import { healthRoutes } from './node/operators/health.ts';
import { certificateMetrics } from './node/operators/metrics.ts';
import type { Node } from './node/node.ts';
import type { AdminRoute } from './ports/admin.ts';
import type { Trace } from './ports/trace.ts';

const INSPECTOR_PAGE = fileURLToPath(new URL('./inspector/page', import.meta.url));

export type Admin = { readonly inspectorUrl: string; close(): void };

/** The admin listener with all that is served there. Beyond loopback it asks for a token of this start. */
export const openAdmin = async (
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

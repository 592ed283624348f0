/**
 * What the admin listener serves: a fixed table of paths for GET, and of paths that become sockets.
 * Health checks, metrics and the inspector hand in their rows; the listener does the guarding.
 */

export type AdminRequest = { readonly path: string; readonly query: URLSearchParams };

export type AdminReply = {
  readonly status: number;
  /** Content type. */
  readonly type: string;
  readonly body: string | Uint8Array;
  /** The same, compressed, for whoever takes that. */
  readonly gzipped?: Uint8Array;
};

export type AdminRoute = {
  /** `open` answers also without the token that a listener beyond loopback asks for. */
  readonly access: 'open' | 'token';
  serve(request: AdminRequest): AdminReply | Promise<AdminReply>;
};

/** One viewer's socket: text both ways. */
export type AdminSocket = {
  readonly remote: string;
  send(text: string): void;
  /** Bytes not yet taken by the other side's kernel: watch it to stay bounded. */
  bufferedBytes(): number;
  close(code: number, reason: string): void;
};

export type AdminSocketEvents = {
  received(text: string): void;
  /** Exactly once, last. */
  closed(): void;
};

export type AdminRoutes = {
  /** By exact path, e.g. `/livez`. */
  readonly pages: ReadonlyMap<string, AdminRoute>;
  readonly sockets: ReadonlyMap<string, (socket: AdminSocket) => AdminSocketEvents>;
};

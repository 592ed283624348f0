/** Listen addresses as options and flags write them. */

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

/** Only programs of this machine reach it. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127\./.test(host);

/**
 * The files a node is secured with: certificate and key, cluster secret, tokens of clients. They are
 * read at start and again when the operator says so (SIGHUP); a file that cannot be used then
 * leaves everything as it was.
 */
import { readFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { parseTokens } from '../core/access.ts';
import type { TokenEntry } from '../core/access.ts';
import { checkTls } from './tls.ts';
import type { TlsMaterial } from './tls.ts';

/** Paths; a certificate without a key, or a CA without a certificate, is refused. */
export type SecurityFiles = {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  /** Signs the certificates of nodes: with it every node must show one that bears its id. */
  readonly tlsCa?: string;
  /** One secret a line, or two while it is being changed: the first proves, both are accepted. */
  readonly secretFile?: string;
  readonly tokensFile?: string;
};

export type Credentials = {
  tls(): TlsMaterial | undefined;
  /** When the certificate ends, ms since 1970. */
  certificateEndsMs(): number | undefined;
  secrets(): readonly Uint8Array[];
  tokens(): readonly TokenEntry[];
  /** Reads all files again. Throws RangeError, with everything left as it was. */
  reload(): void;
};

const SECRET_CHARACTERS_MIN = 32;
const SECRETS_MAX = 2;

/** Throws RangeError that names the setting and the file. */
export const openCredentials = (files: SecurityFiles): Credentials => {
  let read = readAll(files);
  return {
    tls: () => read.tls,
    certificateEndsMs: () =>
      read.tls === undefined ? undefined : Date.parse(new X509Certificate(read.tls.cert).validTo),
    secrets: () => read.secrets,
    tokens: () => read.tokens,
    reload: () => {
      read = readAll(files);
    },
  };
};

const readAll = (files: SecurityFiles) => ({
  tls: tlsOf(files),
  secrets: files.secretFile === undefined ? [] : secretsOf(files.secretFile),
  tokens: files.tokensFile === undefined ? [] : tokensOf(files.tokensFile),
});

const tlsOf = ({ tlsCert, tlsKey, tlsCa }: SecurityFiles): TlsMaterial | undefined => {
  if (tlsCert === undefined && tlsKey === undefined && tlsCa === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new RangeError('tls.cert and tls.key are given together');
  }
  const ca = tlsCa === undefined ? {} : { ca: textOf('tls.ca', tlsCa) };
  const tls = { cert: textOf('tls.cert', tlsCert), key: textOf('tls.key', tlsKey), ...ca };
  try {
    checkTls(tls);
  } catch (error) {
    const paths = [tlsCert, tlsKey, ...(tlsCa === undefined ? [] : [tlsCa])].join(', ');
    throw new RangeError(`tls.cert, tls.key: ${paths}: ${(error as Error).message}`);
  }
  return tls;
};

const secretsOf = (path: string): readonly Uint8Array[] => {
  const secrets = textOf('secretFile', path)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (secrets.length === 0 || secrets.length > SECRETS_MAX) {
    throw new RangeError(`secretFile ${path}: expected one secret or two, found ${secrets.length}`);
  }
  const short = secrets.find(({ length }) => length < SECRET_CHARACTERS_MIN);
  if (short !== undefined) {
    const found = `found ${short.length}`;
    throw new RangeError(
      `secretFile ${path}: a secret has at least ${SECRET_CHARACTERS_MIN} characters, ${found}`,
    );
  }
  return secrets.map((secret) => new Uint8Array(Buffer.from(secret)));
};

const tokensOf = (path: string): readonly TokenEntry[] => {
  const text = textOf('tokensFile', path);
  try {
    return parseTokens(JSON.parse(text));
  } catch (error) {
    throw new RangeError(`tokensFile ${path}: ${(error as Error).message}`);
  }
};

const textOf = (setting: string, path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new RangeError(`${setting}: ${(error as Error).message}`);
  }
};

/**
 * TLS on the sockets: one certificate for what a node serves and, where nodes know each other by
 * certificate, for what it dials. The names of a peer's certificate are its subject's common name
 * and its DNS names; one of them must be the node id it goes by (checked in src/node/peers/peers.ts).
 */
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket, createSecureContext } from 'node:tls';
import type { SecureContextOptions } from 'node:tls';

/** PEM texts. */
export type TlsMaterial = {
  readonly cert: string;
  readonly key: string;
  /** Who signs the certificates of nodes; with it, nodes know each other by certificate. */
  readonly ca?: string;
};

/** Throws the system's error, in words, if the texts make no usable certificate. */
export const checkTls = (tls: TlsMaterial): void => void createSecureContext(contextOf(tls));

export const openServer = (
  tls: TlsMaterial | undefined,
  options: ServerOptions,
  handshakeTimeoutMs: number,
  answer: RequestListener,
): Server | TlsServer => {
  if (tls === undefined) return createServer(options, answer);
  const server = createTlsServer(
    {
      ...options,
      ...contextOf(tls),
      handshakeTimeout: handshakeTimeoutMs,
      // Clients have none; what a node shows is judged when it has said who it is.
      requestCert: tls.ca !== undefined,
      rejectUnauthorized: false,
    },
    answer,
  );
  // A stranger who does not speak TLS: his socket ends, nothing else.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  return server;
};

/** From now on, for new connections. */
export const renewServer = (server: Server | TlsServer, tls: TlsMaterial): void => {
  if ('setSecureContext' in server) server.setSecureContext(contextOf(tls));
};

/** What a dial to another node shows and demands: nothing beyond the usual without a CA of our own. */
export const dialOptionsOf = (tls: TlsMaterial | undefined) =>
  tls?.ca === undefined
    ? {}
    : // Whom it reached is told by the node id in the certificate, not by the address dialled.
      { ...contextOf(tls), checkServerIdentity: () => undefined };

/** The names a verified certificate of the other side proves. */
export const namesOf = (
  socket: Socket | IncomingMessage['socket'],
): { readonly names?: readonly string[] } => {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return {};
  const { subject, subjectaltname } = socket.getPeerCertificate();
  const alternatives = (subjectaltname ?? '')
    .split(', ')
    .flatMap((each) => (each.startsWith('DNS:') ? [each.slice(4)] : []));
  const common = (subject as { readonly CN?: string | readonly string[] } | undefined)?.CN ?? [];
  return { names: [...(typeof common === 'string' ? [common] : common), ...alternatives] };
};

const contextOf = ({ cert, key, ca }: TlsMaterial): SecureContextOptions => ({
  ...{ cert, key, minVersion: 'TLSv1.2' },
  ...(ca === undefined ? {} : { ca }),
});

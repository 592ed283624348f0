/**
 * A wire that is slower than this machine's own: forwards bytes between ports, each way later by a
 * fixed delay. A process of its own. Arguments: delay in ms, then pairs of ports, from:to.
 */
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';

const HOST = '127.0.0.1';
const [delayText, ...pairs] = process.argv.slice(2);
const delayMs = Number(delayText);

/** Bytes leave in order, `delayMs` after they came. */
const later = (from: Socket, to: Socket): void => {
  from.on('data', (bytes) => setTimeout(() => to.write(bytes), delayMs));
  from.on('end', () => setTimeout(() => to.end(), delayMs));
  from.on('error', () => to.destroy());
  from.on('close', () => setTimeout(() => to.destroy(), delayMs));
};

let waiting = pairs.length;
for (const pair of pairs) {
  const [from, to] = pair.split(':').map(Number);
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: HOST, port: to!, noDelay: true });
    later(near, far);
    later(far, near);
  });
  server.listen(from, HOST, () => {
    waiting -= 1;
    if (waiting === 0) process.send?.('ready');
  });
}
process.on('disconnect', () => process.exit(0));

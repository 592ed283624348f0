/** One bare `ws` echo: the unit of measure. It is measured beside the servers, in the same minute. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { cpuSoFar, ended } from '../support/processes.ts';

const CONNECTIONS = 8;
const IN_FLIGHT = 64;
const BYTES = 120;

export type Echo = {
  /** CPU of the server for one echo, µs, measured over `seconds` from now. */
  readonly microseconds: (seconds: number) => Promise<number>;
  readonly close: () => Promise<void>;
};

export const openEcho = async (): Promise<Echo> => {
  const server = fork(fileURLToPath(new URL('./echo-server.js', import.meta.url)));
  const port = await new Promise<number>((resolve) => server.once('message', resolve));
  const sockets = await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const ws = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
      await new Promise((resolve) => ws.once('open', resolve));
      const queue: (() => void)[] = [];
      ws.on('message', () => queue.shift()?.());
      return { ws, queue };
    }),
  );
  const frame = new Uint8Array(BYTES);
  const load = async (seconds: number): Promise<number> => {
    const endMs = performance.now() + seconds * 1000;
    let count = 0;
    await Promise.all(
      Array.from({ length: IN_FLIGHT }, async (_, slot) => {
        const { ws, queue } = sockets[slot % CONNECTIONS]!;
        for (; performance.now() < endMs; count++) {
          await new Promise<void>((resolve) => {
            queue.push(resolve);
            ws.send(frame);
          });
        }
      }),
    );
    return count;
  };
  // The compiler is not the unit.
  await load(2);
  return {
    microseconds: async (seconds) => {
      const before = cpuSoFar([server.pid!]).seconds;
      const count = await load(seconds);
      return ((cpuSoFar([server.pid!]).seconds - before) * 1e6) / count;
    },
    close: () => {
      for (const { ws } of sockets) ws.terminate();
      return ended(server);
    },
  };
};

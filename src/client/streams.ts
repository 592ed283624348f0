/** What a client answers piece by piece: the keys of a scan, and how the cluster is from time to time. */
import { bytesOfKey } from '../core/ids.ts';
import type { Key } from '../core/ids.ts';
import type { Clock } from '../ports/clock.ts';
import type { KeysReply } from '../wire/client-messages.ts';
import type { Events } from './events.ts';

/** Page after page of these partitions; `page` asks for the one behind `after`. */
export async function* keysOf(
  partitions: readonly number[],
  prefix: Key | '',
  page: (partition: number, after: Uint8Array | undefined) => Promise<KeysReply>,
): AsyncGenerator<Uint8Array, void, void> {
  for (const partition of partitions) {
    let after: Uint8Array | undefined;
    do {
      const { keys, next } = await page(partition, after);
      for (const key of keys) if (key.startsWith(prefix)) yield bytesOfKey(key);
      after = next;
    } while (after !== undefined);
  }
}

/** What `ask` answers, `everyMs` apart, until the client is closed or `signal` says so. */
export async function* repeated<T>(
  ask: () => Promise<T>,
  { clock, events }: { readonly clock: Clock; readonly events: Events },
  { everyMs, signal }: { readonly everyMs: number; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<T, void, void> {
  let state: 'wanted' | 'over' = 'wanted';
  let wake = (): void => undefined;
  const end = (): void => {
    state = 'over';
    wake();
  };
  const off = events.on(({ type }) => type === 'closed' && end());
  signal?.addEventListener('abort', end, { once: true });
  const isOver = (): boolean => state === 'over' || signal?.aborted === true;
  try {
    while (!isOver()) {
      yield await ask();
      if (isOver()) return;
      await new Promise<void>((resolve) => {
        const timer = clock.setTimeout(resolve, everyMs);
        wake = () => {
          clock.clearTimeout(timer);
          resolve();
        };
      });
    }
  } finally {
    off();
    signal?.removeEventListener('abort', end);
  }
}

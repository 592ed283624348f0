/**
 * How far the wall clocks of the peers are from ours, asked for with a ping whenever somebody wants to
 * know (a scrape of the metrics). Skew loses nothing here, but decides last-write-wins.
 */
import type { NodeId } from '../../core/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Heartbeat } from '../../wire/peer-messages.ts';

export class PeerClocks {
  readonly #clock: Clock;
  readonly #offsets = new Map<NodeId, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What was heard of the peers among `linked`, ms ahead of ours. */
  offsets(linked: readonly NodeId[]): ReadonlyMap<NodeId, number> {
    for (const node of this.#offsets.keys()) if (!linked.includes(node)) this.#offsets.delete(node);
    return this.#offsets;
  }

  question(): Heartbeat {
    return { type: 'ping', sentAtMs: this.#clock.wallMs() };
  }

  /** Only a ping that says when it was sent is answered with a time. */
  answerTo({ sentAtMs }: Extract<Heartbeat, { type: 'ping' }>): Heartbeat {
    if (sentAtMs === undefined) return { type: 'pong' };
    return { type: 'pong', sentAtMs, wallMs: this.#clock.wallMs() };
  }

  /** The peer's clock stood at `wallMs` halfway between the question and now. */
  heard(from: NodeId, { sentAtMs, wallMs }: Extract<Heartbeat, { type: 'pong' }>): void {
    const nowMs = this.#clock.wallMs();
    if (sentAtMs === undefined || wallMs === undefined) return;
    // A pong from before our own clock was set tells nothing.
    if (nowMs < sentAtMs || nowMs - sentAtMs > ROUND_TRIP_MS_MAX) return;
    this.#offsets.set(from, wallMs - (sentAtMs + nowMs) / 2);
  }
}

const ROUND_TRIP_MS_MAX = 2000;

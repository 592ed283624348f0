/**
 * Faults on purpose: a node's ports with something between that can be broken from the inspector's
 * page, for local clusters only. What a real outage does is done where it would happen: frames vanish,
 * commits are answered late, the wall clock is off; processes are killed by whoever started them.
 */
import type { NodeId } from '../core/ids.ts';
import type { Clock } from '../ports/clock.ts';
import type { Connection, ConnectionEvents, Links } from '../ports/links.ts';
import type { CommitResult, Storage } from '../ports/storage.ts';
import { decodePeerFrame } from '../wire/peer-codec.ts';
import type { Fault, FaultsView, ProcessFault, ProcessState } from './records.ts';

/** Whoever started the processes of this cluster. */
export type ProcessHost = {
  /** Undefined if it is being done, else why not. */
  apply(fault: ProcessFault): string | undefined;
  states(): readonly ProcessState[];
};

const DELAY_MS_MAX = 5000;
const SKEW_MS_MAX = 24 * 3600 * 1000;
const PROCESS_FAULTS: readonly string[] = ['kill', 'pause', 'resume', 'restart', 'wipe', 'add'];

export class Faults {
  readonly #self: NodeId;
  readonly #clock: Clock;
  readonly #host: ProcessHost | undefined;
  readonly #cutTo = new Set<string>();
  #diskDelayMs = 0;
  #skewMs = 0;

  /** `clock` is the real one; without `host` processes cannot be killed from here. */
  constructor(self: NodeId, clock: Clock, host: ProcessHost | undefined) {
    this.#self = self;
    this.#clock = clock;
    this.#host = host;
  }

  view(): FaultsView {
    return {
      cutTo: [...this.#cutTo],
      diskDelayMs: this.#diskDelayMs,
      skewMs: this.#skewMs,
      processes: this.#host?.states() ?? [],
    };
  }

  /** Undefined if done, else why not. `fault` may be anything a page sends. */
  apply(fault: Fault): string | undefined {
    switch (fault.type) {
      case 'cut':
        if (fault.peer === this.#self) return 'a node has no link to itself';
        this.#cutTo.add(String(fault.peer).slice(0, 64));
        return undefined;
      case 'heal':
        this.#cutTo.delete(fault.peer);
        return undefined;
      case 'slow-disk': {
        const { delayMs } = fault;
        if (!within(delayMs, 0, DELAY_MS_MAX)) return `a delay is 0-${DELAY_MS_MAX} ms`;
        this.#diskDelayMs = delayMs;
        return undefined;
      }
      case 'skew': {
        const { skewMs } = fault;
        if (!within(skewMs, -SKEW_MS_MAX, SKEW_MS_MAX)) return 'a clock is off by a day at most';
        this.#skewMs = skewMs;
        return undefined;
      }
      case 'leave':
        return 'who leaves is for the membership to say';
      default:
        return this.#applyToProcess(fault);
    }
  }

  /** The wall clock, off by the skew; nothing that waits is touched. */
  clock(): Clock {
    const clock = this.#clock;
    return {
      wallMs: () => clock.wallMs() + this.#skewMs,
      monotonicMs: () => clock.monotonicMs(),
      setTimeout: (task, delayMs) => clock.setTimeout(task, delayMs),
      clearTimeout: (timer) => clock.clearTimeout(timer),
      endOfTurn: (task) => clock.endOfTurn(task),
    };
  }

  /** A disk whose syncs take longer: results come late, in order. */
  storage(storage: Storage): Storage {
    const waiting: { readonly task: () => void; readonly dueMs: number }[] = [];
    let dueMs = 0;
    const answerDue = (nowMs: number): void => {
      while (waiting.length > 0 && waiting[0]!.dueMs <= nowMs) waiting.shift()!.task();
    };
    return {
      ...storage,
      commit: (ops, done) =>
        storage.commit(ops, (result: CommitResult) => {
          if (this.#diskDelayMs === 0 && waiting.length === 0) return done(result);
          const nowMs = this.#clock.monotonicMs();
          dueMs = Math.max(dueMs, nowMs + this.#diskDelayMs);
          const mine = dueMs;
          waiting.push({ task: () => done(result), dueMs: mine });
          this.#clock.setTimeout(() => answerDue(mine), mine - nowMs);
        }),
      close: (done) => {
        answerDue(Infinity);
        storage.close(done);
      },
    };
  }

  /** A network in which frames from and to some nodes vanish, as if a cable were cut. */
  links(links: Links): Links {
    return {
      dial: (address, purpose, events) => {
        if (purpose !== 'peer') return links.dial(address, purpose, events);
        const pipe = new Pipe(this.#cutTo);
        return pipe.between(links.dial(address, purpose, pipe.heard(events)));
      },
      listen: (accept) =>
        links.listen((connection, purpose) => {
          if (purpose !== 'peer') return accept(connection, purpose);
          const pipe = new Pipe(this.#cutTo);
          return pipe.heard(accept(pipe.between(connection), purpose));
        }),
      close: (done) => links.close(done),
    };
  }

  #applyToProcess(fault: ProcessFault): string | undefined {
    if (!PROCESS_FAULTS.includes(fault.type)) return 'no such fault';
    if (this.#host === undefined) return 'this node was not started by coterie cluster';
    return this.#host.apply({ type: fault.type, node: String(fault.node) });
  }
}

/** One connection to a node that is known once it has said hello. */
class Pipe {
  readonly #cutTo: ReadonlySet<string>;
  #peer: string | undefined;

  constructor(cutTo: ReadonlySet<string>) {
    this.#cutTo = cutTo;
  }

  between(connection: Connection): Connection {
    return {
      remote: connection.remote,
      // Known only after the handshake.
      get names() {
        return connection.names;
      },
      send: (frame) => {
        if (!this.#isCut()) connection.send(frame);
      },
      bufferedBytes: () => connection.bufferedBytes(),
      close: (code, reason) => connection.close(code, reason),
      terminate: () => connection.terminate(),
    };
  }

  heard(events: ConnectionEvents): ConnectionEvents {
    return {
      opened: () => events.opened(),
      received: (frame) => {
        this.#peer ??= senderOf(frame);
        if (!this.#isCut()) events.received(frame);
      },
      closed: (code, reason) => events.closed(code, reason),
    };
  }

  #isCut(): boolean {
    return this.#peer !== undefined && this.#cutTo.has(this.#peer);
  }
}

/** Whoever says hello in `frame`. */
const senderOf = (frame: Uint8Array): string | undefined => {
  try {
    const hello = decodePeerFrame(frame).find(({ type }) => type === 'hello');
    return hello?.type === 'hello' ? hello.node : undefined;
  } catch {
    // What is no frame of ours is refused further up.
    return undefined;
  }
};

const within = (value: unknown, least: number, most: number): value is number =>
  typeof value === 'number' && value >= least && value <= most;

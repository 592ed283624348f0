/**
 * How a simulated client asks: one node after another until one answers for good, now and then two
 * at once, or once more after it was done; and now and then it does not hear the answer.
 */
import { CoterieError } from '../core/errors.ts';
import type { Random } from '../ports/random.ts';
import type { HandledReply, HandledRequest } from '../wire/client-messages.ts';
import { TRIES_MAX } from './scenario.ts';
import type { OperationPlan } from './scenario.ts';
import type { Host, World } from './world.ts';

/** What a node is told to answer within, ms. */
export const TRY_TIMEOUT_MS = 1500;
/** How much longer a client waits than the node was told to. */
const SILENCE_MS = TRY_TIMEOUT_MS + 200;

export type Request = {
  readonly plan: OperationPlan;
  /** The first of the plan's fractions that this request uses. */
  readonly from: number;
  readonly build: (attempt: number) => HandledRequest;
  /** A node is about to be asked. */
  readonly asked?: () => void;
  /** Called in the node's own call, before the answer travels. */
  readonly answered?: (host: Host, reply: HandledReply) => void;
  /** `mayBeWritten`: some try was not refused for certain. */
  readonly done: (reply: HandledReply | undefined, host: Host, mayBeWritten: boolean) => void;
};

export type TriesParts = {
  readonly world: World;
  readonly random: Random;
  readonly count: (name: string) => void;
};

export class Tries {
  readonly #parts: TriesParts;

  constructor(parts: TriesParts) {
    this.#parts = parts;
  }

  /** The same put once more, through another node, after it was applied: it must change nothing. */
  repeated(request: Request): Request {
    return {
      ...request,
      done: (reply, host, mayBeWritten) => {
        if (reply?.type !== 'applied') return request.done(reply, host, mayBeWritten);
        this.#parts.count('put again');
        this.#send(request, TRIES_MAX + 2, () => request.done(reply, host, mayBeWritten));
      },
    };
  }

  /** Tries one node after another until one answers for good. */
  begin(request: Request, attempt = 1, maybeBefore = false): void {
    this.#send(request, attempt, (reply, host, mayBeWritten) => {
      const maybe = maybeBefore || mayBeWritten;
      const ends =
        attempt >= TRIES_MAX ||
        (reply !== undefined && (reply.type !== 'failed' || !errorOf(reply).retryable));
      if (ends) return request.done(reply, host, maybe);
      this.#parts.count('retried');
      const pauseMs = this.#parts.random.fraction() * 100;
      this.#parts.world.clock.schedule(() => this.begin(request, attempt + 1, maybe), pauseMs);
    });
  }

  /** One try, at one node or at two at once; the first answer that is no failure counts. */
  #send(request: Request, attempt: number, ended: Request['done']): void {
    const { plan, from, build, answered } = request;
    const { clock } = this.#parts.world;
    const hosts = this.#parts.world.hosts.filter(({ gone }) => !gone);
    const nth = (attempt - 1) % TRIES_MAX;
    const first = Math.floor(plan.via[from + nth]! * hosts.length);
    const targets = [hosts[first]!];
    if (plan.twice === 'hedged' && attempt === 1) {
      this.#parts.count('hedged');
      targets.push(hosts[(first + 1) % hosts.length]!);
    }
    let awaited = targets.length;
    let mayBeWritten = false;
    let isOver = false;
    const finish = (reply: HandledReply | undefined, host: Host): void => {
      if (isOver) return;
      isOver = true;
      silence.cancel();
      ended(reply, host, mayBeWritten || awaited > 0);
    };
    const silence = clock.schedule(() => finish(undefined, targets[0]!), SILENCE_MS);
    targets.forEach((host, i) => {
      request.asked?.();
      this.#parts.world.ask(
        host,
        build(attempt + i),
        (reply) => {
          // Now and then an answer is lost on the way: the client tries again what was done already.
          if (plan.deaf[from + nth] === true || isOver) return;
          awaited -= 1;
          if (reply.type !== 'failed') return finish(reply, host);
          mayBeWritten ||= errorOf(reply).outcome === 'unknown';
          if (awaited === 0) finish(reply, host);
        },
        (reply) => answered?.(host, reply),
      );
    });
  }
}

export const errorOf = ({ code, message, details }: Extract<HandledReply, { type: 'failed' }>) =>
  new CoterieError(code, message, details);

/** The seam between a node and whoever inspects it: everything here is optional and off by default. */
import type { AnyActorRef, InspectionEvent } from 'xstate';
import type { Key, NodeId } from '../core/ids.ts';
import type { PeerMessage, RequestId } from '../wire/peer-messages.ts';
import type { RequestSeen } from './records.ts';

/** The name of a request and its story, over all nodes. */
export const causeOf = (node: NodeId, request: RequestId): string => `${node}.${request}`;

export type Watch = {
  /** A coordinator is about to be born with `input`, on machine `machine`. */
  born(request: RequestId, machine: string, input: unknown): CoordinatorWatch;
  /** The supervisor of the long-lived actors; called before it starts. */
  supervises(supervisor: AnyActorRef): void;
  /** `message` with the cause of what is being done now, if that is recorded. */
  stamped<T extends PeerMessage>(message: T): T;
  /** Handles a message that is part of a recorded request; `reply` is told from `task`. */
  follow(
    from: NodeId,
    message: PeerMessage & { readonly cause?: string },
    reply: (message: PeerMessage) => void,
    task: (reply: (message: PeerMessage) => void) => void,
  ): void;
  /** Does `task` as part of a client's trace, given by its `traceparent`. */
  traced(traceparent: string, task: () => void): void;
  /** The log has told people the name of a request here: they will look for its story. */
  named(request: RequestId): void;
  /** What is remembered of requests on `key`, newest first. */
  requestsOn(key: Key): readonly RequestSeen[];
  /** A question or an answer of the inspector of another node. */
  receive(from: NodeId, message: PeerMessage): void;
};

/** The ear of one coordinator. */
export type CoordinatorWatch = {
  /** What to give birth with: the ports may be listened to. */
  readonly input: unknown;
  /** Present for a recorded request: it must be born as a stock actor with this observer. */
  readonly inspect: ((event: InspectionEvent) => void) | undefined;
  heard(event: { readonly type: string }): void;
  replied(reply: object): void;
  ended(how: 'done' | 'crashed' | 'stopped'): void;
};

/** What clients meet, wired: requests understood, counted, the slow ones logged, and served over links. */
import { causeOf } from '../../inspector/watch.ts';
import type { AdminRequest, ClientHandler, HandledReply } from '../../wire/client-messages.ts';
import type { NodeParts } from '../node-parts.ts';
import { metered } from '../operators/meters.ts';
import type { Meters } from '../operators/meters.ts';
import type { Organs } from '../organs.ts';
import type { NodeState, Status } from '../status.ts';
import { clientHandler } from './client-handler.ts';
import { ClientPort } from './client-port.ts';
import { ringReply } from './ring-answer.ts';

export type ClientHooks = {
  readonly meters: Meters;
  readonly state: () => NodeState;
  readonly status: () => Status;
  readonly admin: (request: AdminRequest, reply: (reply: HandledReply) => void) => void;
};

export type Clients = {
  /** For clients in this very process, too. */
  readonly handler: ClientHandler;
  readonly port: ClientPort;
};

export const composeClients = (parts: NodeParts, organs: Organs, hooks: ClientHooks): Clients => {
  const { self, config, clock, digest, trace, admit, watch } = parts;
  const { prefixDefaults = [], logKeys = 'escaped' } = parts;
  const { map, router, scans, replica, nursery } = organs;
  const { meters, state, status, admin } = hooks;
  const inner = clientHandler({
    ...{ self, config, clock, router, scans, replica, state, status, admin },
    cluster: () => map.cluster,
    ring: () => ringReply(map, { ...config, prefixDefaults }),
    traced: (traceparent, task) => (watch === undefined ? task() : watch.traced(traceparent, task)),
  });
  const handler = metered(inner, {
    ...{ meters, clock, digest, trace, keys: logKeys },
    slowRequestMs: () => config.slowRequestMs,
    named: () => {
      const { answering } = nursery;
      if (answering === undefined) return undefined;
      watch?.named(answering);
      return causeOf(self, answering);
    },
  });
  return { handler, port: new ClientPort({ clock, config, handler, trace, admit }) };
};

/** What the supervised actors are given: their ports onto the node's parts, and their intervals. */
import { createActor } from 'xstate';
import type { ActorRefFrom } from 'xstate';
import type { MembershipInput } from '../../actors/membership.ts';
import { nodeMachine } from '../../actors/node.ts';
import type { NodePorts } from '../../actors/node.ts';
import { writeBufferMachine } from '../../actors/write-buffer.ts';
import { lightly } from '../host/light-logic.ts';
import { saveBook } from './store/book-store.ts';
import { Committer } from './store/committer.ts';
import type { Tell } from './mail.ts';
import type { NodeParts } from './node-parts.ts';
import { xstateClock } from './requests/nursery.ts';
import type { Organs } from './organs.ts';

export type Supervisor = ActorRefFrom<typeof nodeMachine>;

export const superviseOrgans = (
  parts: NodeParts,
  organs: Organs,
  ports: NodePorts,
  hooks: { readonly tell: Tell; readonly failed: (reason: string) => void },
): Supervisor => {
  const { self, clock, config, trace } = parts;
  const { peers, ring, store, handoff, exchanges, transfers, scrub } = organs;
  const { tell, failed } = hooks;
  const machine =
    parts.actorHost === 'stock'
      ? nodeMachine
      : nodeMachine.provide({ actors: { writeBuffer: lightly(writeBufferMachine, clock) } });
  const supervisor = createActor(machine, {
    clock: xstateClock(clock),
    input: {
      ports,
      membership: membershipInput(parts, organs, hooks),
      failureDetector: {
        tickMs: config.detectorTickMs,
        limits: config.suspicion,
        ports: {
          signs: () => peers.signsOf(ring.nodes().filter((id) => id !== self)),
          monotonicMs: () => clock.monotonicMs(),
          ping: (node) => peers.send(node, { type: 'ping' }),
          publish: (table) => ring.replaceHealth(table),
          recovered: (node) => {
            trace.log('info', 'peer.recovered', { node });
            tell('handoff', { type: 'peer.recovered' });
            exchanges.want([node]);
          },
        },
      },
      writeBuffer: {
        groupCommitMs: config.groupCommitMs,
        ports: new Committer({ ...parts, store, ...hooks }),
      },
      handoff: {
        ports: handoff,
        scanIntervalMs: config.hintScanIntervalMs,
        deliveryTimeoutMs: config.hintDeliveryTimeoutMs,
      },
      antiEntropy: {
        ports: exchanges,
        exchange: {
          ports: exchanges,
          answerTimeoutMs: config.exchangeAnswerTimeoutMs,
          repairTimeoutMs: config.exchangeRepairTimeoutMs,
        },
      },
      transfer: {
        ports: transfers,
        roundMs: config.gossipIntervalMs,
        confirmTimeoutMs: config.exchangeRepairTimeoutMs,
      },
      scrub: { ports: scrub },
      reap: {
        ports: organs.reaping,
        intervalMs: config.reap.intervalMs,
        fenceDelayMs: config.reap.fenceDelayMs,
        answerTimeoutMs: config.exchangeRepairTimeoutMs,
      },
      admission: organs.admission.actorInput(config.admissionTickMs),
      restartBackoffMs: config.restartBackoffMs,
      restartsMax: config.restartsMax,
      drainTimeoutMs: config.drainTimeoutMs,
    },
  });
  supervisor.subscribe({
    error: (error) => failed(`the supervisor crashed: ${String(error)}`),
  });
  return supervisor;
};

const membershipInput = (
  { config, storage, random }: NodeParts,
  { map, peers }: Organs,
  { tell, failed }: { readonly tell: Tell; readonly failed: (reason: string) => void },
): MembershipInput => ({
  gossipIntervalMs: config.gossipIntervalMs,
  load: () => map.book,
  ports: {
    randomPeer: () => {
      const { linked } = peers;
      return linked.length === 0 ? undefined : linked[random.integer(linked.length)];
    },
    send: (to, message) => peers.send(to, message),
    persist: (book) =>
      saveBook(storage, book, (result) => {
        if (result.type === 'failed') failed(`commit failed: ${result.reason}`);
        else tell('membership', { type: 'book.persisted', book });
      }),
    publish: (book) => map.publish(book),
  },
});

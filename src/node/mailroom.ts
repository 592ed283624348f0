/** Where a peer's message goes: one row for each type, nothing is decided here. */
import type { NodeId } from '../core/ids.ts';
import { isCredible } from '../core/members.ts';
import type { Watch } from '../inspector/watch.ts';
import type { PeerMessage } from '../wire/peer-messages.ts';
import type { Nonsense } from './operators/meters.ts';
import type { Organs } from './organs.ts';
import type { Reply } from './peers/peers.ts';
import { stateRefusal } from './requests/refusals.ts';
import type { NodeState } from './status.ts';
import type { Tell } from './mail.ts';
import { answerTreeQuestion, makesSense } from './healing/tree-answers.ts';

export type MailParts = {
  readonly organs: Organs;
  readonly tell: Tell;
  readonly watch: Watch | undefined;
  readonly state: () => NodeState;
  /** It left, or was removed: it takes nothing any more (C8). */
  readonly isSilent: () => boolean;
  /** A peer said what cannot be; it is passed over. */
  readonly ignored: (what: Nonsense) => void;
};

export const handOn = (mail: MailParts, from: NodeId, message: PeerMessage, reply: Reply): void => {
  const { organs, tell, watch, ignored } = mail;
  const { replica, router, coordinators, scans, handoff, exchanges, transfers, trees, map } =
    organs;
  const { reaping, rounds, witness, admission } = organs;
  const state = mail.state();
  const isSilent = mail.isSilent();
  // Before it knows its ring, and once it was removed or has left, a node answers for nothing (C8).
  const takesPart = state !== 'joining' && !isSilent;
  // What it brings may have been deleted and forgotten since (C8); it may still learn that it is out.
  const isLate = map.isTooLate(from) || rounds.isImage(from);
  if (isLate && !LEARNING.has(message.type)) return;
  if (carriesRecords(message) && message.round < rounds.floor) {
    // Read before the fence (A9): not taken, but its sender should know where everybody is.
    return reply(rounds.firstWord);
  }
  switch (message.type) {
    case 'write':
    case 'sync':
    case 'read':
      admission.served();
      if (takesPart) replica.receive(message, reply);
      return;
    case 'written':
    case 'answer':
    case 'refused':
      coordinators.replicaReplied(from, message);
      return;
    case 'forward': {
      const { request, put } = message;
      const refusal = stateRefusal(state);
      if (refusal !== undefined) return reply({ type: 'forwarded', request, reply: refusal });
      router.forwarded(from, request, put, (result) =>
        reply({ type: 'forwarded', request, reply: result }),
      );
      return;
    }
    case 'list':
    case 'listed':
      if (takesPart) scans.receive(from, message, reply);
      return;
    case 'forwarded':
      coordinators.forwardReplied(from, message.request, message.reply);
      return;
    case 'gossip.digest':
    case 'gossip.known':
    case 'gossip.events':
      // The merge leaves them out.
      if (message.type === 'gossip.known' && !message.announcements.every(isCredible)) {
        ignored('incarnation');
      }
      tell('membership', { type: 'gossip.heard', from, message });
      return;
    case 'deliver':
      // Before the ring is known a record would be laid where nobody looks for it.
      if (!takesPart) return;
      replica.takeDelivery(message, () => reply({ type: 'delivered', batch: message.batch }));
      return;
    case 'delivered':
      handoff.delivered(from, message.batch);
      exchanges.delivered(from, message.batch);
      return;
    case 'roots.ask':
    case 'branches.ask':
    case 'leaves.ask':
    case 'records.ask':
    case 'fetch':
      if (!takesPart) return;
      if (makesSense(trees, message)) answerTreeQuestion(trees, from, message, reply);
      else ignored('tree');
      return;
    case 'roots':
    case 'hashes':
    case 'records':
    case 'fetched':
      exchanges.answered(from, message);
      return;
    case 'registers.digest':
    case 'registers.known': {
      const answer = map.registers.hear(message);
      if (answer !== undefined) reply(answer);
      return;
    }
    case 'offer':
    case 'surrender':
      // An old register may name one that has left: what it took nobody would ever get.
      if (!isSilent) transfers.asked(message, reply);
      return;
    case 'offer.answered':
    case 'offer.refused':
    case 'surrendered':
      transfers.answered(from, message);
      return;
    case 'round.at':
      // Who has left holds nothing: what was forgotten since without it is no sign of an old image.
      if (state !== 'left') rounds.hear(from, message, reply);
      return;
    case 'round.open':
    case 'fence':
    case 'forget':
      // Also of one that left and started anew: it has to say that it brings nothing back.
      if (state !== 'removed') reaping.asked(from, message, reply);
      return;
    case 'round.entered':
    case 'fence.up':
      reaping.answered(from, message);
      return;
    case 'progress':
    case 'remembered': {
      const answer = witness.hear(from, message);
      if (answer !== undefined) reply(answer);
      return;
    }
    case 'ping':
      reply(organs.clocks.answerTo(message));
      return;
    case 'inspect.ask':
    case 'inspect.tell':
      watch?.receive(from, message);
      return;
    case 'pong':
      organs.clocks.heard(from, message);
      return;
    case 'hello':
    case 'proof':
      return;
  }
};

const carriesRecords = (
  message: PeerMessage,
): message is Extract<PeerMessage, { type: 'write' | 'deliver' | 'surrender' }> =>
  message.type === 'write' || message.type === 'deliver' || message.type === 'surrender';

/** What tells a node of the cluster it is in, or was in, and carries no records. */
const LEARNING: ReadonlySet<PeerMessage['type']> = new Set([
  'gossip.digest',
  'gossip.known',
  'gossip.events',
  'registers.digest',
  'registers.known',
  'ping',
  'pong',
  'round.at',
]);

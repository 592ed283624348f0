/** Which events each long-lived actor may be told, by the name under which it is found. */
import type { AntiEntropyEvent } from '../../actors/anti-entropy.ts';
import type { ExchangeEvent } from '../../actors/exchange.ts';
import type { FailureDetectorEvent } from '../../actors/failure-detector.ts';
import type { HandoffEvent } from '../../actors/handoff.ts';
import type { MembershipEventIn } from '../../actors/membership.ts';
import type { ScrubEvent } from '../../actors/scrub.ts';
import type { ReapEvent } from '../../actors/reap.ts';
import type { TransferEvent } from '../../actors/transfer.ts';
import type { WriteBufferEvent } from '../../actors/write-buffer.ts';

export type Mail = {
  readonly membership: MembershipEventIn;
  readonly failureDetector: FailureDetectorEvent;
  readonly writeBuffer: WriteBufferEvent;
  readonly handoff: HandoffEvent;
  readonly antiEntropy: AntiEntropyEvent;
  readonly exchange: ExchangeEvent;
  readonly transfer: TransferEvent;
  readonly scrub: ScrubEvent;
  readonly reap: ReapEvent;
};

/** Mail to an actor that is backing off is lost: every protocol survives that. */
export type Tell = <A extends keyof Mail>(actor: A, event: Mail[A]) => void;

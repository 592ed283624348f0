/** Every machine of coterie by the name that records call an actor. */
import type { AnyStateMachine } from 'xstate';
import { admissionMachine } from '../../actors/admission.ts';
import { antiEntropyMachine } from '../../actors/anti-entropy.ts';
import { exchangeMachine } from '../../actors/exchange.ts';
import { failureDetectorMachine } from '../../actors/failure-detector.ts';
import { forwardMachine } from '../../actors/forward.ts';
import { getMachine } from '../../actors/get.ts';
import { handoffMachine } from '../../actors/handoff.ts';
import { membershipMachine } from '../../actors/membership.ts';
import { nodeMachine } from '../../actors/node.ts';
import { putMachine } from '../../actors/put.ts';
import { reapMachine } from '../../actors/reap.ts';
import { scanMachine } from '../../actors/scan.ts';
import { scrubMachine } from '../../actors/scrub.ts';
import { transferMachine } from '../../actors/transfer.ts';
import { writeBufferMachine } from '../../actors/write-buffer.ts';

export const MACHINES = {
  put: putMachine,
  get: getMachine,
  forward: forwardMachine,
  scan: scanMachine,
  node: nodeMachine,
  membership: membershipMachine,
  failureDetector: failureDetectorMachine,
  writeBuffer: writeBufferMachine,
  handoff: handoffMachine,
  antiEntropy: antiEntropyMachine,
  exchange: exchangeMachine,
  transfer: transferMachine,
  scrub: scrubMachine,
  reap: reapMachine,
  admission: admissionMachine,
} as const;

/** `put 17` is on the machine `put`. */
export const machineOf = (actor: string): AnyStateMachine | undefined => {
  const name = actor.split(' ')[0] as keyof typeof MACHINES;
  return Object.hasOwn(MACHINES, name) ? (MACHINES[name] as unknown as AnyStateMachine) : undefined;
};

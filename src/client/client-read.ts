/**
 * One read that the client coordinates itself (paper § 6.4): the get machine of the nodes, with
 * connections for ports. What it makes of the replicas' records is the same value a node would
 * answer; its context is that of a replica that holds all of it, or those of all that answered.
 */
import { getMachine } from '../../actors/get.ts';
import type { GetEvent, GetInput, GetPorts, GetReply } from '../../actors/get.ts';
import type { NodeId } from '../core/ids.ts';
import { startRead } from '../core/read-tally.ts';
import { decodeRecord } from '../core/record-bytes.ts';
import { UNLIMITED, sameRecord, shownValues } from '../core/record.ts';
import type { RecordOfKey } from '../core/record.ts';
import { chartOf } from '../host/chart.ts';
import { LightLife } from '../host/light-host.ts';
import type { Clock } from '../ports/clock.ts';
import type {
  GetRequest,
  HandledRequest,
  ReplicaReplyToClient,
  ValueReply,
} from '../wire/client-messages.ts';
import { bundled } from './context-bundle.ts';
import type { Answer } from './node-connection.ts';

export type ClientReadParts = {
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>;
  /** Sends to one replica; `answered` once, unless the node cannot be asked: `unsent`. */
  readonly ask: (
    node: NodeId,
    request: HandledRequest,
    answered: (answer: Answer) => void,
  ) => 'sent' | 'unsent';
  /** Whether one replica more than R may be asked for speed alone. */
  readonly mayHedge: () => boolean;
  readonly patienceMs: number;
};

export type ClientRead = {
  readonly value: ValueReply;
  /** The owner that answered first: where the put that follows goes. */
  readonly fastest: NodeId;
};

/** Reads `get` from `candidates`, owners in the order to be asked; `done` once, undefined: it failed. */
export const readFromReplicas = (
  parts: ClientReadParts,
  get: GetRequest & { readonly r: number },
  candidates: readonly NodeId[],
  done: (read: ClientRead | undefined) => void,
): { cancel(): void } => {
  const answers = new Map<NodeId, { context: Uint8Array; record: RecordOfKey | undefined }>();
  let [asked, state]: [number, 'reading' | 'done'] = [0, 'reading'];
  const finish = (read: ClientRead | undefined): void => {
    if (state === 'done') return;
    state = 'done';
    done(read);
  };
  const hear = (event: GetEvent): void => life.send(event);
  const refused = (node: NodeId): void => hear({ type: 'replica.refused', node });
  const ports: GetPorts = {
    read: (_, key, node, want) => {
      asked += answers.has(node) ? 0 : 1;
      const hedges = asked > get.r && answers.size < get.r;
      // Never within the action that asks: the machine must have recorded it first.
      const later = (task: () => void): void => void parts.clock.setTimeout(task, 0);
      if (hedges && !parts.mayHedge()) return later(() => refused(node));
      const sent = parts.ask(node, { type: 'replica-get', key, want }, (answer) => {
        const reply = answer.type === 'replied' ? answer.reply : undefined;
        if (reply?.type !== 'replica-is') return refused(node);
        const record = recordOf(reply);
        if (record === 'malformed') return refused(node);
        answers.set(node, { context: reply.context, record });
        hear({ type: 'replica.answered', node, role: reply.role, record });
      });
      if (sent === 'unsent') later(() => refused(node));
    },
    // A client never sends records: one owner is asked to read from all.
    repair: (key, _, to) => {
      parts.ask(to, { type: 'repair', key, timeoutMs: get.timeoutMs }, () => undefined);
    },
    reply: (_, reply) => finish(reply.type === 'failed' ? undefined : readOf(reply, get, answers)),
  };
  const input: GetInput = {
    request: 0,
    key: get.key,
    tally: startRead(candidates, {
      r: get.r,
      counting: get.strict ? 'real-owners' : 'anyone',
    }),
    ports,
    // What the replicas keep is not known here: a record that is longer is no reason to repair.
    limits: UNLIMITED,
    timeoutMs: get.timeoutMs,
    patienceMs: parts.patienceMs,
    lingerMs: LINGER_MS,
  };
  const life = new LightLife(GET_CHART, input, parts.clock, {
    done: () => undefined,
    crashed: () => finish(undefined),
  });
  life.start();
  return {
    cancel: () => {
      state = 'done';
      life.stop();
    },
  };
};

const GET_CHART = chartOf(getMachine)!;

/** Late answers are waited for no longer: they only tell who is to be repaired. */
const LINGER_MS = 500;

const readOf = (
  { record, fastest }: Exclude<GetReply, { type: 'failed' }>,
  get: GetRequest,
  answers: ReadonlyMap<NodeId, { context: Uint8Array; record: RecordOfKey | undefined }>,
): ClientRead => {
  const values = shownValues(record, get.mode ?? 'causal');
  const known = record.vector.length > 0 || record.siblings.length > 0;
  const all = [...answers.values()];
  const whole = all.find((answer) => answer.record && sameRecord(answer.record, record));
  const contexts = whole === undefined ? all.map(({ context }) => context) : [whole.context];
  const state = values.length > 0 ? 'found' : known ? 'deleted' : 'never-seen';
  const context = bundled(contexts);
  return { fastest, value: { type: 'value', state, values, context, node: fastest } };
};

const recordOf = ({ record }: ReplicaReplyToClient): RecordOfKey | undefined | 'malformed' => {
  if (record === undefined) return undefined;
  try {
    return decodeRecord(record);
  } catch {
    return 'malformed';
  }
};

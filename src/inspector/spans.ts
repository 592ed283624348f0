/**
 * Recorded requests as OTLP spans (OTLP/HTTP with JSON, `ExportTraceServiceRequest`): one for each
 * coordinator, one for each replica's part in it. Ids follow from the request alone, so that nodes
 * that never spoke of spans still tell one trace; a client's `traceparent` is its parent.
 */
import { FNV_START, fnv1a } from '../core/fnv.ts';
import { parseTraceparent } from '../core/traceparent.ts';
import type { Facts, InspectionRecord } from './records.ts';

type Attribute = { readonly key: string; readonly value: { readonly stringValue: string } };
type Span = {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** 1 internal, 2 server. */
  readonly kind: 1 | 2;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
  readonly events: readonly { readonly timeUnixNano: string; readonly name: string }[];
  /** 1 ok, 2 error. */
  readonly status: { readonly code: 1 | 2 };
};

export type OtlpTraces = {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly Span[];
    }[];
  }[];
};

const GOOD = ['applied', 'value', 'done'];
/** What a replica is asked for, by the machine that asks. */
const ASKED_BY: Readonly<Record<string, string>> = { write: 'put', sync: 'put', read: 'get' };

/** `records` of any nodes and requests, in any order; what belongs to no request is left out. */
export const spansOf = (records: readonly InspectionRecord[]): OtlpTraces => {
  const byNode = new Map<string, Span[]>();
  for (const [cause, own] of grouped(records, ({ cause }) => cause)) {
    const sorted = [...own].sort((a, b) => a.atMs - b.atMs || a.seq - b.seq);
    for (const [node, span] of spansOfRequest(cause, sorted)) {
      const spans = byNode.get(node) ?? [];
      byNode.set(node, spans);
      spans.push(span);
    }
  }
  return {
    resourceSpans: [...byNode].map(([node, spans]) => ({
      resource: {
        attributes: attributesOf({ 'service.name': 'coterie', 'service.instance.id': node }),
      },
      scopeSpans: [{ scope: { name: 'coterie.inspector' }, spans }],
    })),
  };
};

const spansOfRequest = (
  cause: string,
  records: readonly InspectionRecord[],
): readonly (readonly [string, Span])[] => {
  const client = parseTraceparent(cause.slice(cause.indexOf('/') + 1));
  const traceId = client?.traceId ?? hexHash(cause, 4);
  const idOf = (node: string, role: string): string => hexHash(`${cause} ${node} ${role}`, 2);
  const forward = records.find(({ type, what }) => type === 'born' && what === 'forward');
  const spans: [string, Span][] = [];
  for (const [actor, own] of grouped(records, ({ node, actor }) => `${node} ${actor}`)) {
    const { node } = own[0]!;
    const machine = actor.slice(node.length + 1).split(' ')[0]!;
    if (own[0]!.type === 'born') {
      const parent =
        forward !== undefined && machine !== 'forward'
          ? idOf(forward.node, 'forward')
          : client?.spanId;
      spans.push([node, coordinatorSpan(own, { traceId, spanId: idOf(node, machine) }, parent)]);
    } else if (machine === 'replica') {
      spans.push(...replicaSpans(own, traceId, idOf));
    }
  }
  return spans;
};

const coordinatorSpan = (
  records: readonly InspectionRecord[],
  ids: { readonly traceId: string; readonly spanId: string },
  parentSpanId: string | undefined,
): Span => {
  const [born] = records;
  const reply = records.find(({ type, what }) => type === 'did' && what === 'reply');
  const outcome = String(reply?.facts?.['outcome'] ?? 'unanswered');
  const { key, owners } = born!.facts ?? {};
  return {
    ...ids,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    name: `coterie ${born!.what}`,
    kind: 2,
    startTimeUnixNano: nano(born!.atMs),
    // What lingers after the reply is told by the events.
    endTimeUnixNano: nano((reply ?? records.at(-1)!).atMs),
    attributes: attributesOf({
      'db.system': 'coterie',
      'db.operation': born!.what,
      ...defined({ 'coterie.key': key, 'coterie.owners': owners }),
      'coterie.outcome': outcome,
      ...defined({ 'coterie.acks': reply?.facts?.['acks'] }),
    }),
    events: records
      .filter(({ type }) => type === 'state' || type === 'event')
      .map(({ atMs, type, what }) => ({
        timeUnixNano: nano(atMs),
        name: type === 'state' ? `▸ ${what}` : what,
      })),
    status: { code: GOOD.includes(outcome) ? 1 : 2 },
  };
};

/** From hearing a question to its last answer. */
const replicaSpans = (
  records: readonly InspectionRecord[],
  traceId: string,
  idOf: (node: string, role: string) => string,
): readonly [string, Span][] =>
  records.flatMap((heard, index): [string, Span][] => {
    if (heard.type !== 'heard' || heard.peer === undefined) return [];
    const { node, what, peer, atMs, facts } = heard;
    const next = records.findIndex((each, i) => i > index && each.type === 'heard');
    const answers = records
      .slice(index + 1, next < 0 ? undefined : next)
      .filter(({ type }) => type === 'sent');
    const span: Span = {
      traceId,
      spanId: idOf(node, `replica ${what} ${index}`),
      parentSpanId: idOf(peer, ASKED_BY[what] ?? 'forward'),
      name: `replica ${what}`,
      kind: 2,
      startTimeUnixNano: nano(atMs),
      endTimeUnixNano: nano(answers.at(-1)?.atMs ?? atMs),
      attributes: attributesOf({ 'coterie.coordinator': peer, ...facts }),
      events: [],
      status: { code: answers.some((each) => each.what === 'refused') ? 2 : 1 },
    };
    return [[node, span]];
  });

const grouped = (
  records: readonly InspectionRecord[],
  nameOf: (record: InspectionRecord) => string | undefined,
): ReadonlyMap<string, readonly InspectionRecord[]> => {
  const groups = new Map<string, InspectionRecord[]>();
  for (const record of records) {
    const name = nameOf(record);
    if (name === undefined) continue;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [record]);
    else group.push(record);
  }
  return groups;
};

const attributesOf = (facts: Facts): readonly Attribute[] =>
  Object.entries(facts).map(([key, value]) => ({ key, value: { stringValue: String(value) } }));

const defined = (facts: { readonly [name: string]: Facts[string] | undefined }): Facts =>
  Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as Facts;

/** Nanoseconds do not fit a number. */
const nano = (ms: number): string => String(BigInt(Math.round(ms * 1000)) * 1000n);

/** `words` times 8 hex digits (FNV-1a, 32 bits each, from different starts). */
const hexHash = (text: string, words: number): string => {
  let digits = '';
  for (let word = 0; word < words; word++) {
    const hash = fnv1a(text, FNV_START ^ Math.imul(word, 0x9e3779b1));
    digits += (hash >>> 0).toString(16).padStart(8, '0');
  }
  return digits;
};

/** From the records of one request to the steps of a diagram: who did what when, over all nodes. */
import type { Facts, InspectionRecord } from '../records.ts';

export type Step = {
  /** Milliseconds since the request began, on the coordinator's clock. */
  readonly atMs: number;
  /** When it arrived, for arrows. */
  readonly endMs?: number;
  readonly kind: 'born' | 'ended' | 'arrow' | 'reply-arrow' | 'state' | 'timer' | 'did' | 'event';
  /** `client` or a node. */
  readonly from: string;
  readonly to?: string;
  readonly label: string;
  /** The machine this is about: `put 17`. */
  readonly actor: string;
  readonly state?: string;
  readonly facts?: Facts;
  /** Drawn as known: both ends told · assumed: only one did · lost: sent and never heard. */
  readonly certainty: 'known' | 'assumed' | 'lost';
};

export const CLIENT = 'client';

/** What a replica's answer is to the coordinator that hears it. */
const ANSWERS: Readonly<Record<string, string>> = {
  written: 'replica.acked',
  answer: 'replica.answered',
  refused: 'replica.refused',
  forwarded: 'put.answered',
};

/** Milliseconds to add to each node's times so that nothing is heard before it was said. */
export const clockOffsets = (records: readonly InspectionRecord[]): ReadonlyMap<string, number> => {
  const [first] = records;
  const offsets = new Map<string, number>();
  if (first === undefined) return offsets;
  offsets.set(first.node, 0);
  for (const node of new Set(records.map((record) => record.node))) {
    if (offsets.has(node)) continue;
    let [least, most] = [-Infinity, Infinity];
    for (const said of records) {
      if (said.type !== 'sent') continue;
      const base = offsets.get(said.node);
      if (base !== undefined && said.peer === node) {
        const heard = records.find(
          (each) => each.node === node && each.type === 'heard' && each.what === said.what,
        );
        if (heard !== undefined) least = Math.max(least, said.atMs + base - heard.atMs);
      }
      if (said.node === node && said.peer !== undefined && offsets.has(said.peer)) {
        const heard = records.find((each) => isAnswer(said, each));
        if (heard !== undefined) {
          most = Math.min(most, heard.atMs + offsets.get(said.peer)! - said.atMs);
        }
      }
    }
    const fits = least <= 0 && most >= 0;
    offsets.set(
      node,
      fits ? 0 : Number.isFinite(least + most) ? (least + most) / 2 : Math.max(least, 0),
    );
  }
  return offsets;
};

const isAnswer = (said: InspectionRecord, heard: InspectionRecord): boolean =>
  heard.type === 'event' &&
  heard.node === said.peer &&
  heard.what === ANSWERS[said.what] &&
  heard.facts?.['node'] === said.node &&
  (heard.facts['durable'] === undefined || heard.facts['durable'] === said.facts?.['durable']);

/** `records` of one cause, in any order. */
export const stepsOf = (unsorted: readonly InspectionRecord[]): readonly Step[] => {
  const records = [...unsorted].sort((a, b) => a.atMs - b.atMs || a.seq - b.seq);
  const births = records.findIndex(({ type }) => type === 'born');
  const first = records[Math.max(births, 0)];
  if (first === undefined) return [];
  const offsets = clockOffsets([first, ...records.filter((record) => record !== first)]);
  const time = (record: InspectionRecord): number =>
    record.atMs + (offsets.get(record.node) ?? 0) - first.atMs;
  const tellers = new Set(records.map(({ node }) => node));
  // While it is under way, what was not heard may still be.
  const over = records.some(({ type }) => type === 'ended');
  const used = new Set<InspectionRecord>();
  const steps: Step[] = [];
  const heardAs = new Map<InspectionRecord, InspectionRecord>();
  for (const said of records) {
    if (said.type !== 'sent') continue;
    const heard = records.find((each) => !used.has(each) && isHearing(said, each));
    if (heard === undefined) continue;
    used.add(heard);
    heardAs.set(said, heard);
  }
  let entry: string | undefined;
  for (const record of records) {
    if (used.has(record)) continue;
    const { node, actor, what, type, facts, peer } = record;
    const base = { atMs: time(record), from: node, actor, certainty: 'known' as const };
    const shown = facts === undefined ? {} : { facts };
    if (type === 'born') {
      if (entry === undefined) {
        entry = node;
        steps.push({ ...base, ...shown, kind: 'arrow', from: CLIENT, to: node, label: what });
      }
      steps.push({ ...base, ...shown, kind: 'born', label: `${what} coordinator` });
    } else if (type === 'ended') steps.push({ ...base, kind: 'ended', label: `${what}, buried` });
    else if (type === 'state') {
      steps.push({ ...base, ...shown, kind: 'state', label: what, state: record.state ?? what });
    } else if (type === 'did' && what === 'reply' && node === entry) {
      const label = String(facts?.['outcome'] ?? 'reply');
      steps.push({ ...base, ...shown, kind: 'reply-arrow', to: CLIENT, label });
    } else if (type === 'did') steps.push({ ...base, ...shown, kind: 'did', label: what });
    else if (type === 'sent' && peer !== undefined) {
      const heard = heardAs.get(record);
      const lost = over && tellers.has(peer);
      const certainty = heard !== undefined ? 'known' : lost ? 'lost' : 'assumed';
      const kind = ANSWERS[what] === undefined ? 'arrow' : 'reply-arrow';
      steps.push({
        ...{ ...base, ...shown, kind, to: peer, label: arrowLabel(what, facts), certainty },
        ...(heard === undefined ? {} : { endMs: Math.max(time(heard), base.atMs) }),
      });
    } else if (type === 'event') steps.push(eventStep(record, base, node));
  }
  return steps.sort((a, b) => a.atMs - b.atMs);
};

const isHearing = (said: InspectionRecord, heard: InspectionRecord): boolean =>
  isAnswer(said, heard) ||
  (heard.type === 'heard' &&
    heard.node === said.peer &&
    heard.peer === said.node &&
    heard.what === said.what);

const eventStep = (
  { what, facts, actor }: InspectionRecord,
  base: { atMs: number; from: string; certainty: 'known' },
  node: string,
): Step => {
  const shown = facts === undefined ? {} : { facts };
  if (what.startsWith('after ')) return { ...base, actor, kind: 'timer', label: what };
  const from = facts?.['node'];
  if (typeof from === 'string' && from !== node) {
    const label = arrowLabel(what.replace('replica.', ''), facts);
    return {
      ...base,
      ...shown,
      actor,
      kind: 'reply-arrow',
      from,
      to: node,
      label,
      certainty: 'assumed',
    };
  }
  return { ...base, ...shown, actor, kind: 'event', label: arrowLabel(what, facts) };
};

const arrowLabel = (what: string, facts: Facts | undefined): string => {
  const notes = [
    facts?.['durable'] === true ? 'durable' : '',
    facts?.['hintFor'] === undefined ? '' : `hint for ${String(facts['hintFor'])}`,
    facts?.['want'] === 'header' ? 'header only' : '',
    facts?.['code'] === undefined ? '' : String(facts['code']),
    facts?.['holds'] === 'nothing' ? 'nothing here' : '',
  ].filter((note) => note !== '');
  return notes.length === 0 ? what : `${what} · ${notes.join(' · ')}`;
};

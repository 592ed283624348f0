/** What the page knows: nodes, records and stories, kept from the feed or from a recording. */
import { computed, signal } from '@preact/signals';
import type {
  Ask,
  FeedMessage,
  Gauges,
  InspectionRecord,
  PageMessage,
  Recording,
  RingPicture,
  StorySummary,
  Tell,
} from '../records.ts';

export type NodeSeen = {
  readonly id: string;
  readonly gauges: Gauges;
  /** Page time when it last told anything, ms. */
  readonly heardAtMs: number;
  readonly history: readonly HistoryPoint[];
};

export type HistoryPoint = { readonly atMs: number; readonly gauges: Gauges };

export type Link = 'connecting' | 'connected' | 'lost';

/** One request over all nodes. */
export type StoryRow = {
  readonly cause: string;
  summary: StorySummary | undefined;
  readonly records: InspectionRecord[];
  startMs: number;
};

/** Gauges come twice a second, and plots show two minutes. */
const HISTORY_MAX = 250;
const RECORDS_MAX = 20_000;
const STORIES_MAX = 1000;
/** A node that told nothing for so long is shown as silent. */
export const SILENT_MS = 2500;

export const link = signal<Link>('connecting');
export const welcome = signal<
  { node: string; mayFault: boolean; valuesShown: boolean } | undefined
>(undefined);
export const recording = signal<Recording | undefined>(undefined);
export const nodes = signal<ReadonlyMap<string, NodeSeen>>(new Map());
export const ring = signal<RingPicture | undefined>(undefined);
const chosenSample = localStorage.getItem('coterie.sample');
export const sampleEvery = signal(Number(chosenSample ?? 100));
/** Grows whenever records or stories changed; at most a few times a second. */
export const tick = signal(0);
export const now = signal(Date.now());
/** Of a recording: what is later has not happened yet, ms. */
export const playhead = signal(Infinity);
export const droppedTotal = signal(0);

export const records: (InspectionRecord | { readonly dropped: number; readonly node: string })[] =
  [];
export const stories = new Map<string, StoryRow>();

/** All nodes of the cluster, also those that never told us anything, in the order of their ids. */
export const memberIds = computed((): readonly string[] => {
  const replayed = recording.value;
  if (replayed !== undefined) return replayed.nodes;
  const ids = new Set<string>();
  for (const { gauges } of nodes.value.values()) {
    for (const { id } of gauges.status.nodes) ids.add(id);
  }
  return [...ids].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
});

/** The eight colours of Okabe and Ito, told apart also by the colour-blind. */
const COLOURS = ['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6'] as const;
export const colourOf = (node: string | undefined): string => {
  const index = node === undefined ? -1 : memberIds.value.indexOf(node);
  return index < 0 ? 'c-none' : COLOURS[index % COLOURS.length]!;
};

let socket: WebSocket | undefined;
let asked = 0;
let pauseMs = 250;
let changed = false;
const waiting = new Map<number, (tell: Tell) => void>();

export const connect = (): void => {
  const ws = new WebSocket(`${location.origin.replace('http', 'ws')}/inspector/feed`);
  socket = ws;
  ws.onopen = () => {
    link.value = 'connected';
    pauseMs = 250;
    send({ type: 'watch', sampleEvery: sampleEvery.value });
  };
  ws.onmessage = ({ data }) => hear(JSON.parse(String(data)) as FeedMessage);
  ws.onclose = () => {
    link.value = 'lost';
    for (const answer of waiting.values())
      answer({ type: 'refused', id: 0, reason: 'the connection broke' });
    waiting.clear();
    setTimeout(connect, pauseMs);
    pauseMs = Math.min(4000, pauseMs * 2);
  };
};

/** Asks `node`; rejects with its reason if it refuses, or after five seconds. */
export const ask = <T>(node: string, question: Question): Promise<T> =>
  new Promise((resolve, reject) => {
    if (socket?.readyState !== WebSocket.OPEN) {
      reject(new Error('not connected'));
      return;
    }
    const id = ++asked;
    const timer = setTimeout(() => {
      waiting.delete(id);
      reject(new Error(`${node} did not answer`));
    }, 5000);
    waiting.set(id, (tell) => {
      clearTimeout(timer);
      waiting.delete(id);
      if (tell.type === 'answer') resolve(tell.answer as T);
      else reject(new Error(tell.type === 'refused' ? tell.reason : 'no answer'));
    });
    send({ type: 'ask', node, ask: { ...question, id } as Ask });
  });

type Question = Ask extends infer A ? (A extends { id: number } ? Omit<A, 'id'> : never) : never;

export const watch = (every: number): void => {
  sampleEvery.value = every;
  localStorage.setItem('coterie.sample', String(every));
  send({ type: 'watch', sampleEvery: every });
};

export const forgetEverything = (): void => {
  records.length = 0;
  stories.clear();
  tick.value += 1;
};

export const openRecording = (opened: Recording): void => {
  forgetEverything();
  recording.value = opened;
  const sorted = [...opened.records].sort((a, b) => a.atMs - b.atMs);
  for (const record of sorted) take(record);
  for (const story of opened.stories) takeStory(story);
  playhead.value = opened.broken?.atMs ?? sorted.at(-1)?.atMs ?? 0;
  tick.value += 1;
};

export const closeRecording = (): void => {
  recording.value = undefined;
  playhead.value = Infinity;
  forgetEverything();
  if (socket === undefined) connect();
};

/** What has happened by the time of the playhead, oldest first; everything while it is live. */
export const happened = (): readonly (typeof records)[number][] => {
  const end = playhead.value;
  if (end === Infinity) return records;
  let [low, high] = [0, records.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const record = records[middle]!;
    if ('seq' in record && record.atMs > end) high = middle;
    else low = middle + 1;
  }
  return records.slice(0, low);
};

const send = (message: PageMessage): void => {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
};

const hear = (message: FeedMessage): void => {
  if (message.type === 'welcome') {
    const { node, mayFault, valuesShown } = message;
    welcome.value = { node, mayFault, valuesShown };
    // A cluster to play with has few requests, and one to rely on has many.
    if (mayFault && chosenSample === null && sampleEvery.value !== 1) watch(1);
    return;
  }
  const { node, tell } = message;
  switch (tell.type) {
    case 'gauges':
      return hearGauges(node, tell.gauges);
    case 'answer':
    case 'refused':
      return waiting.get(tell.id)?.(tell);
    case 'records': {
      send({ type: 'taken', records: tell.records.length });
      if (recording.value !== undefined) return;
      for (const record of tell.records) take(record);
      for (const story of tell.stories) takeStory(story);
      if (tell.dropped > 0) {
        droppedTotal.value += tell.dropped;
        records.push({ dropped: tell.dropped, node });
      }
      if (records.length > RECORDS_MAX) records.splice(0, records.length - RECORDS_MAX);
      changed = true;
      return;
    }
  }
};

const hearGauges = (id: string, gauges: Gauges): void => {
  const seen = nodes.value.get(id);
  const point = { atMs: Date.now(), gauges };
  const history = [...(seen?.history ?? []).slice(1 - HISTORY_MAX), point];
  nodes.value = new Map(nodes.value).set(id, { id, gauges, heardAtMs: Date.now(), history });
  const { node: serving } = welcome.value ?? {};
  if (id === serving && ring.value?.version !== gauges.ringVersion) void refreshRing(id);
};

let refreshing = false;
const refreshRing = async (node: string): Promise<void> => {
  if (refreshing) return;
  refreshing = true;
  try {
    ring.value = await ask<RingPicture>(node, { type: 'ring' });
  } catch {
    // The next gauges ask again.
  } finally {
    refreshing = false;
  }
};

const take = (record: InspectionRecord): void => {
  records.push(record);
  const { cause, atMs } = record;
  if (cause === undefined) return;
  const row = rowOf(cause, atMs);
  row.records.push(record);
  row.startMs = Math.min(row.startMs, atMs);
};

const takeStory = (summary: StorySummary): void => {
  const row = rowOf(summary.cause, summary.bornAtMs);
  // A forwarded put has two machines and one cause: the coordinator's summary tells more.
  if (row.summary === undefined || row.summary.machine === 'forward') row.summary = summary;
};

const rowOf = (cause: string, startMs: number): StoryRow => {
  let row = stories.get(cause);
  if (row !== undefined) return row;
  row = { cause, summary: undefined, records: [], startMs };
  stories.set(cause, row);
  if (stories.size > STORIES_MAX && recording.value === undefined)
    stories.delete(stories.keys().next().value!);
  return row;
};

setInterval(() => {
  now.value = Date.now();
  if (!changed) return;
  changed = false;
  tick.value += 1;
}, 200);

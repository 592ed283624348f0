/** The live list of requests, and one of them step by step. */
import { computed, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { InspectionRecord } from '../records.ts';
import {
  Empty,
  Icon,
  NodeName,
  Panel,
  clockTime,
  duration,
  factsText,
  shortActor,
} from './bits.tsx';
import { MachineChart } from './chart.tsx';
import { Sequence, Waterfall } from './sequence.tsx';
import { stepsOf } from './steps.ts';
import type { Step } from './steps.ts';
import { ask, playhead, recording, sampleEvery, stories, tick, watch } from './store.ts';
import type { StoryRow } from './store.ts';

const ROWS_MAX = 200;
const WHYS = ['all', 'slow', 'failed', 'siblings'] as const;

export const selectedCause = signal<string | undefined>(undefined);
const text = signal('');
const why = signal<(typeof WHYS)[number]>('all');
const cursor = signal(0);
const drawing = signal<'sequence' | 'waterfall'>('sequence');
const playing = signal(false);
const fetched = signal<ReadonlyMap<string, readonly InspectionRecord[]>>(new Map());
const trouble = signal<string | undefined>(undefined);

/** Grows while the open request goes on: its row stays the same object, so nothing else would tell. */
const recordsOfSelected = computed(() => {
  void tick.value;
  return stories.get(selectedCause.value ?? '')?.records.length ?? 0;
});

/** Opens a request at its last step, or at `step`. */
export const selectStory = (cause: string | undefined, step = Number.MAX_SAFE_INTEGER): void => {
  selectedCause.value = cause;
  cursor.value = step;
  playing.value = false;
  trouble.value = undefined;
  const row = cause === undefined ? undefined : stories.get(cause);
  if (row?.summary === undefined || row.records.length > 0 || recording.value !== undefined) return;
  const { node } = row.summary;
  ask<readonly InspectionRecord[]>(node, { type: 'story', cause: row.cause }).then(
    (records) => (fetched.value = new Map(fetched.value).set(row.cause, records)),
    (error: Error) => (trouble.value = error.message),
  );
};

/** Plays the open request from its first step. */
export const playStory = (): void => {
  cursor.value = 0;
  playing.value = true;
};

export const Requests = () => {
  // Reading the tick subscribes to the plain collections behind it.
  void tick.value;
  const rows = [...stories.values()]
    .filter(({ startMs }) => startMs <= playhead.value)
    // What a replica did may be told before the coordinator's birth, or without it.
    .filter(({ summary, records }) => summary !== undefined || records.some(isBirth))
    .map(rowView)
    .filter(matches)
    .sort((a, b) => b.startMs - a.startMs)
    .slice(0, ROWS_MAX);
  const cause = selectedCause.value;
  const selected = cause === undefined ? undefined : stories.get(cause);
  return (
    <div class={`split ${selected === undefined ? '' : 'has-detail'}`}>
      <Panel
        name="requests"
        title="Requests"
        aside={
          <>
            <input
              class="filter"
              type="search"
              placeholder="key, node or outcome   /"
              value={text.value}
              onInput={(event) => (text.value = event.currentTarget.value)}
              aria-label="filter requests"
            />
            <div class="segments" role="group" aria-label="which requests">
              {WHYS.map((each) => (
                <button aria-pressed={why.value === each} onClick={() => (why.value = each)}>
                  {each}
                </button>
              ))}
            </div>
          </>
        }
      >
        {rows.length === 0 ? (
          <NoRequests />
        ) : (
          <RequestTable rows={rows} columns={selected === undefined ? 'all' : 'few'} />
        )}
      </Panel>
      {selected === undefined ? null : <Detail row={selected} />}
    </div>
  );
};

const NoRequests = () =>
  text.value !== '' || why.value !== 'all' ? (
    <Empty title="No request matches">Change the filter, or wait for one.</Empty>
  ) : (
    <Empty title="No request yet">
      {sampleEvery.value === 1
        ? 'Every request is recorded; send one: '
        : `One in ${sampleEvery.value} requests is recorded, and every slow or failed one. `}
      <code>coterie put cart:alice milk</code>
      {sampleEvery.value === 1 ? null : (
        <button onClick={() => watch(1)}>Record every request</button>
      )}
    </Empty>
  );

type RowView = {
  readonly cause: string;
  readonly startMs: number;
  readonly operation: string;
  readonly key: string;
  readonly node: string;
  readonly replyMs: number | undefined;
  readonly outcome: string;
  readonly why: string;
};

const rowView = ({ cause, summary, records, startMs }: StoryRow): RowView => {
  const births = records.filter(isBirth);
  const born = births.find(({ what }) => what !== 'forward') ?? births[0];
  const reply = records.find(({ type, what }) => type === 'did' && what === 'reply');
  const value = String(born?.facts?.['value'] ?? '');
  const machine = summary?.machine ?? born?.what ?? '?';
  return {
    cause,
    startMs,
    operation: value === 'tombstone' ? 'delete' : machine,
    key: summary?.key ?? String(born?.facts?.['key'] ?? ''),
    node: summary?.node ?? born?.node ?? cause.split('.')[0]!,
    replyMs: summary?.replyMs ?? (reply === undefined ? undefined : reply.atMs - startMs),
    outcome: summary?.outcome ?? String(reply?.facts?.['outcome'] ?? 'under way'),
    why: summary?.why ?? 'sampled',
  };
};

const isBirth = ({ type }: InspectionRecord): boolean => type === 'born';

const matches = (row: RowView): boolean => {
  if (why.value !== 'all' && row.why !== why.value) return false;
  const wanted = text.value.toLowerCase();
  return [row.key, row.node, row.outcome, row.operation].some((each) =>
    each.toLowerCase().includes(wanted),
  );
};

/** Beside an open request there is room for the most needed columns only. */
const RequestTable = ({
  rows,
  columns,
}: {
  readonly rows: readonly RowView[];
  readonly columns: 'all' | 'few';
}) => (
  <div class="scroll tall">
    <table class="rows">
      <thead>
        <tr>
          <th>time</th>
          <th>operation</th>
          <th>key</th>
          {columns === 'all' ? <th>coordinator</th> : null}
          <th class="number">reply</th>
          {columns === 'all' ? <th>outcome</th> : null}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr
            key={row.cause}
            data-cause={row.cause}
            tabIndex={0}
            aria-selected={row.cause === selectedCause.value}
            onClick={() => selectStory(row.cause)}
            onKeyDown={(event) => {
              if (event.key === 'Enter') selectStory(row.cause);
              moveFocus(event);
            }}
          >
            <td class="mono">
              {columns === 'all' ? clockTime(row.startMs) : clockTime(row.startMs).slice(-9)}
            </td>
            <td>{row.operation}</td>
            <td class="key" title={row.key}>
              {row.key}
            </td>
            {columns === 'all' ? (
              <td>
                <NodeName id={row.node} />
              </td>
            ) : null}
            <td class={`number mono ${columns === 'few' ? row.why : ''}`} title={row.outcome}>
              {duration(row.replyMs)}
            </td>
            {columns === 'all' ? (
              <td>
                {row.outcome}{' '}
                {row.why === 'sampled' ? null : <span class={`tag ${row.why}`}>{row.why}</span>}
              </td>
            ) : null}
          </tr>
        ))}
      </tbody>
    </table>
  </div>
);

export const moveFocus = (event: KeyboardEvent): void => {
  const row = event.currentTarget as HTMLElement;
  const next =
    event.key === 'ArrowDown'
      ? row.nextElementSibling
      : event.key === 'ArrowUp'
        ? row.previousElementSibling
        : null;
  if (next === null) return;
  event.preventDefault();
  (next as HTMLElement).focus();
};

const Detail = ({ row }: { readonly row: StoryRow }) => {
  void recordsOfSelected.value;
  const replayed = row.records.length === 0;
  const records = replayed ? (fetched.value.get(row.cause) ?? []) : row.records;
  const steps = stepsOf(records);
  const at = Math.min(cursor.value, steps.length - 1);
  const view = rowView(row);
  useEffect(() => {
    if (!playing.value) return undefined;
    const timer = setTimeout(() => {
      if (cursor.value >= steps.length - 1) playing.value = false;
      else cursor.value = at + 1;
    }, 600);
    return () => clearTimeout(timer);
  });
  const onSelect = (step: number): void => {
    playing.value = false;
    cursor.value = Math.max(0, Math.min(step, steps.length - 1));
  };
  return (
    <Panel
      name="story"
      title={
        <>
          {view.operation} <code>{view.key}</code>
        </>
      }
      aside={
        <>
          <div class="segments" role="group" aria-label="drawing">
            {(['sequence', 'waterfall'] as const).map((each) => (
              <button aria-pressed={drawing.value === each} onClick={() => (drawing.value = each)}>
                {each}
              </button>
            ))}
          </div>
          <button class="close" aria-label="close" onClick={() => selectStory(undefined)}>
            ✕
          </button>
        </>
      }
    >
      {steps.length === 0 ? (
        <Empty
          title={trouble.value === undefined ? 'Replaying its events…' : 'This story cannot be had'}
        >
          {trouble.value ?? 'The node that coordinated it runs them through its machine again.'}
        </Empty>
      ) : (
        <>
          {replayed ? (
            <p class="note">
              Not sampled: its coordinator kept the events and replayed them. What the other nodes
              did is assumed, and drawn dashed.
            </p>
          ) : null}
          <Scrubber steps={steps} at={at} onSelect={onSelect} />
          <div class="story">
            {drawing.value === 'sequence' ? (
              <Sequence steps={steps} cursor={at} onSelect={onSelect} />
            ) : (
              <Waterfall steps={steps} cursor={at} onSelect={onSelect} />
            )}
            <Moment steps={steps} at={at} />
          </div>
        </>
      )}
    </Panel>
  );
};

const Scrubber = ({
  steps,
  at,
  onSelect,
}: {
  readonly steps: readonly Step[];
  readonly at: number;
  readonly onSelect: (step: number) => void;
}) => (
  <div class="scrubber">
    <button aria-label="first step" onClick={() => onSelect(0)}>
      <Icon name="first" />
    </button>
    <button aria-label="step back" onClick={() => onSelect(at - 1)}>
      <Icon name="back" />
    </button>
    <button
      class="primary"
      aria-label={playing.value ? 'pause' : 'play'}
      onClick={() => {
        if (!playing.value && at >= steps.length - 1) cursor.value = 0;
        playing.value = !playing.value;
      }}
    >
      <Icon name={playing.value ? 'pause' : 'play'} />
    </button>
    <button aria-label="step forward" onClick={() => onSelect(at + 1)}>
      <Icon name="forward" />
    </button>
    <input
      type="range"
      min={0}
      max={steps.length - 1}
      value={at}
      aria-label="step"
      onInput={(event) => onSelect(Number(event.currentTarget.value))}
    />
    <output class="mono">
      {at + 1}/{steps.length} · {duration(steps[at]!.atMs)}
    </output>
  </div>
);

/** The machine as it stood at the chosen step: its chart, its quorum, what was just said. */
const Moment = ({ steps, at }: { readonly steps: readonly Step[]; readonly at: number }) => {
  const step = steps[at]!;
  const actors = [...new Set(steps.map(({ actor }) => actor))].filter((each) => each.includes(' '));
  const coordinator = actors.find((each) => !each.startsWith('forward')) ?? actors[0] ?? step.actor;
  const actor = actors.includes(step.actor) ? step.actor : coordinator;
  const until = steps.slice(0, at + 1).filter((each) => each.actor === actor);
  const state = until.findLast(({ kind }) => kind === 'state');
  return (
    <aside class="moment">
      <h3>
        {shortActor(actor)} on{' '}
        <NodeName
          id={until[0]?.from === 'client' ? (until[0].to ?? '') : (until[0]?.from ?? step.from)}
        />
      </h3>
      <p class="what">
        <b>{step.label}</b>
        {step.to === undefined ? '' : ` · ${step.from} → ${step.to}`}
        <br />
        <span class="muted">{factsText(step.facts)}</span>
      </p>
      <Quorum facts={state?.facts} />
      <MachineChart machine={actor.split(' ')[0]!} state={state?.state} event={step.label} />
    </aside>
  );
};

/** How many of how many: acknowledgements, durable ones, answers. */
const Quorum = ({ facts }: { readonly facts: Step['facts'] }) => {
  if (facts === undefined) return null;
  const counts = [
    ['acked', 'w'],
    ['durable', 'dw'],
    ['answers', 'r'],
  ] as const;
  return (
    <dl class="quorum">
      {counts.map(([name, wish]) => {
        const got = facts[name];
        const wanted = facts[wish];
        if (!Array.isArray(got) || typeof wanted !== 'number') return null;
        const slots = Math.max(wanted, got.length);
        return (
          <div data-count={name}>
            <dt>
              {name} <b>{got.length}</b> of {wish.toUpperCase()} = {wanted}
            </dt>
            <dd>
              {Array.from({ length: slots }, (_, i) => (
                <span class={`slot ${got[i] === undefined ? '' : 'got'}`}>{got[i] ?? '·'}</span>
              ))}
            </dd>
          </div>
        );
      })}
    </dl>
  );
};

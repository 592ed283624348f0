/** One request step by step: its drawing, its steps to play, the machine as it stood at each of them. */
import { computed, signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { InspectionRecord } from '../records.ts';
import { Empty, Icon, NodeName, Panel, duration, factsText, shortActor } from './bits.tsx';
import { MachineChart } from './chart.tsx';
import { Sequence, Waterfall } from './sequence.tsx';
import { stepsOf } from './steps.ts';
import type { Step } from './steps.ts';
import { ask, recording, stories, tick } from './store.ts';
import type { StoryRow } from './store.ts';

export const selectedCause = signal<string | undefined>(undefined);
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

/** The panel of the open request, under the name that the list gives it. */
export const Story = ({
  row,
  title,
}: {
  readonly row: StoryRow;
  readonly title: ComponentChildren;
}) => {
  void recordsOfSelected.value;
  const replayed = row.records.length === 0;
  const records = replayed ? (fetched.value.get(row.cause) ?? []) : row.records;
  const steps = stepsOf(records);
  const at = Math.min(cursor.value, steps.length - 1);
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
      title={title}
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

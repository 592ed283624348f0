/** One request as a sequence diagram and as a waterfall over the nodes. */
import { duration, shortActor, useWidth } from './bits.tsx';
import { CLIENT } from './steps.ts';
import type { Step } from './steps.ts';
import { colourOf, memberIds } from './store.ts';

type Props = {
  readonly steps: readonly Step[];
  readonly cursor: number;
  readonly onSelect: (cursor: number) => void;
};

const ROW_PX = 26;
const HEAD_PX = 34;
const TIME_PX = 54;
/** Lanes share the width there is, but labels must fit between two of them. */
const LANE_PX = { least: 112, most: 190 } as const;
const MARGIN_PX = 44;

/** The client, then the nodes in the order of their ids. */
const lanesOf = (steps: readonly Step[]): readonly string[] => {
  const seen = new Set(steps.flatMap(({ from, to }) => (to === undefined ? [from] : [from, to])));
  return [CLIENT, ...memberIds.value.filter((id) => seen.has(id))];
};

export const Sequence = ({ steps, cursor, onSelect }: Props) => {
  const lanes = lanesOf(steps);
  const [place, roomPx] = useWidth();
  const share = (roomPx - TIME_PX - MARGIN_PX) / lanes.length;
  const lanePx = Math.max(LANE_PX.least, Math.min(LANE_PX.most, share));
  const width = TIME_PX + lanes.length * lanePx + MARGIN_PX - 16;
  const height = HEAD_PX + steps.length * ROW_PX + 10;
  const x = (lane: string): number => TIME_PX + (Math.max(0, lanes.indexOf(lane)) + 0.5) * lanePx;
  return (
    <div class="diagram" ref={place}>
      <svg
        class="sequence"
        viewBox={`0 0 ${width} ${height}`}
        width={width}
        height={height}
        role="list"
        aria-label="steps of this request"
      >
        <Arrowheads />
        {lanes.map((lane) => (
          <g class={`lane ${colourOf(lane)}`}>
            <line x1={x(lane)} x2={x(lane)} y1={HEAD_PX - 6} y2={height} />
            <rect x={x(lane) - 38} y={4} width="76" height="22" rx="11" />
            <text x={x(lane)} y={19} text-anchor="middle">
              {lane}
            </text>
          </g>
        ))}
        {steps.map((step, i) => (
          <g
            class={`step is-${step.kind} ${step.certainty} ${i === cursor ? 'now' : i > cursor ? 'later' : ''}`}
            data-step={i}
            role="listitem"
            onClick={() => onSelect(i)}
          >
            <rect class="hit" x="0" y={HEAD_PX + i * ROW_PX} width={width} height={ROW_PX} />
            <text class="time" x={TIME_PX - 10} y={HEAD_PX + i * ROW_PX + 17} text-anchor="end">
              {step.atMs.toFixed(step.atMs < 10 ? 2 : 1)}
            </text>
            <StepMark step={step} x={x} y={HEAD_PX + i * ROW_PX + 13} />
          </g>
        ))}
      </svg>
    </div>
  );
};

const StepMark = ({ step, x, y }: { step: Step; x: (lane: string) => number; y: number }) => {
  const { kind, from, to, label, certainty } = step;
  if (to !== undefined && to !== from) {
    const [a, b] = [x(from), x(to)];
    const end = certainty === 'lost' ? a + (b - a) * 0.6 : b;
    const towards = Math.sign(b - a);
    return (
      <g class={colourOf(from)}>
        <line
          class="arrow"
          x1={a}
          x2={end - towards * 3}
          y1={y + 4}
          y2={y + 4}
          marker-end={certainty === 'lost' ? 'url(#lost)' : 'url(#head)'}
        />
        <Words
          x={(a + b) / 2}
          y={y - 1}
          text={certainty === 'lost' ? `${label} (never heard)` : label}
        />
      </g>
    );
  }
  const at = x(from);
  if (kind === 'state') {
    const width = label.length * 6.6 + 22;
    return (
      <g class={colourOf(from)}>
        <rect class="pill" x={at - width / 2} y={y - 9} width={width} height="19" rx="9.5" />
        <text class="pill-text" x={at} y={y + 4} text-anchor="middle">
          ▸ {label}
        </text>
      </g>
    );
  }
  const sign = kind === 'timer' ? '◔ ' : kind === 'born' ? '✦ ' : kind === 'ended' ? '■ ' : '• ';
  return <Words x={at} y={y + 4} text={sign + label} />;
};

/** Text that stays readable over the lines of the lanes. */
const Words = ({ x, y, text }: { x: number; y: number; text: string }) => (
  <text class="words" x={x} y={y} text-anchor="middle">
    {text}
  </text>
);

const Arrowheads = () => (
  <defs>
    <marker
      id="head"
      viewBox="0 0 8 8"
      refX="7"
      refY="4"
      markerWidth="7"
      markerHeight="7"
      orient="auto"
    >
      <path d="M0 0 8 4 0 8z" />
    </marker>
    <marker id="lost" viewBox="0 0 10 10" refX="5" refY="5" markerWidth="10" markerHeight="10">
      <path class="cross" d="M1 1 9 9M9 1 1 9" />
    </marker>
  </defs>
);

/** Bars on one time axis: each machine's life and states, and each message's way. */
export const Waterfall = ({ steps, cursor, onSelect }: Props) => {
  const endMs = Math.max(0.1, ...steps.map(({ atMs, endMs: end }) => end ?? atMs));
  // What matters happens before the reply; lingering would squeeze it into a corner.
  const reply =
    steps.find(({ kind, to }) => kind === 'reply-arrow' && to === CLIENT)?.atMs ?? endMs;
  const shownMs = Math.min(endMs, Math.max(reply * 1.6, 1));
  const percent = (ms: number): number => Math.min(100, (ms / shownMs) * 100);
  const bars = barsOf(steps, endMs);
  return (
    <div class="waterfall">
      {bars.map((bar) => (
        <div
          class={`bar-row ${bar.steps[0]! <= cursor ? '' : 'later'}`}
          onClick={() => onSelect(bar.steps[0]!)}
        >
          <span class="bar-name">
            <b class={`node ${colourOf(bar.node)}`}>
              <i aria-hidden="true" />
              {bar.node}
            </b>{' '}
            {bar.label}
          </span>
          <span class="bar-space">
            <span
              class={`span ${colourOf(bar.node)} ${bar.kind}`}
              style={{
                left: `${percent(bar.fromMs)}%`,
                width: `${Math.max(0.4, percent(bar.toMs) - percent(bar.fromMs))}%`,
              }}
            />
            <span class="bar-time" style={timePlace(percent(bar.fromMs), percent(bar.toMs))}>
              {duration(bar.toMs - bar.fromMs)}
            </span>
          </span>
        </div>
      ))}
      <p class="muted">
        0 to {duration(shownMs)}, reply after {duration(reply)}
        {endMs > shownMs ? `; it lingered until ${duration(endMs)}` : ''}
      </p>
    </div>
  );
};

/** Behind its bar, else before it; upon it only where it fills the space. Percents of the space. */
const timePlace = (from: number, to: number): { left?: string; right?: string } => {
  if (to <= 84 || from < 16) return { left: `${Math.min(84, to)}%` };
  return { right: `${100 - from}%` };
};

type Bar = {
  readonly node: string;
  readonly label: string;
  readonly kind: 'state' | 'message';
  readonly fromMs: number;
  readonly toMs: number;
  readonly steps: readonly number[];
};

const barsOf = (steps: readonly Step[], endMs: number): readonly Bar[] => {
  const bars: Bar[] = [];
  const open = new Map<string, { index: number; step: Step; state: string }>();
  const close = (actor: string, atMs: number): void => {
    const begun = open.get(actor);
    if (begun === undefined) return;
    const { step, index, state } = begun;
    const label = `${shortActor(actor)} ${state}`;
    bars.push({
      node: step.from,
      label,
      kind: 'state',
      fromMs: step.atMs,
      toMs: atMs,
      steps: [index],
    });
    open.delete(actor);
  };
  steps.forEach((step, index) => {
    if (step.kind === 'state' && open.get(step.actor)?.state !== step.state) {
      close(step.actor, step.atMs);
      if (step.state !== 'done') open.set(step.actor, { index, step, state: step.state! });
    } else if (step.kind === 'ended') close(step.actor, step.atMs);
    else if (
      step.to !== undefined &&
      step.to !== CLIENT &&
      step.from !== CLIENT &&
      step.endMs !== undefined
    ) {
      const label = `${step.label} → ${step.to}`;
      bars.push({
        node: step.from,
        label,
        kind: 'message',
        fromMs: step.atMs,
        toMs: step.endMs,
        steps: [index],
      });
    }
  });
  for (const actor of [...open.keys()]) close(actor, endMs);
  return bars.sort((a, b) => a.fromMs - b.fromMs);
};

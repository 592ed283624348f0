/** Lines over the last two minutes, one for each node; pointing at one plot reads all of them. */
import { signal } from '@preact/signals';
import type { Gauges } from '../records.ts';
import { NodeName, useWidth } from './bits.tsx';
import { colourOf, memberIds, nodes } from './store.ts';
import type { HistoryPoint } from './store.ts';

/** What a line shows; null where there is nothing to show. */
export type Measure = (gauges: Gauges) => number | null;

const SPAN_MS = 120_000;
const HEIGHT = 150;
const LEFT = 48;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 22;
const TICKS_MS = [120_000, 90_000, 60_000, 30_000, 0] as const;
/** A line goes on over as long a silence; beyond it there is a gap. */
const GAP_MS = 5000;

/** The time somebody points at, ms before now. */
const pointedMs = signal<number | undefined>(undefined);

export const Plot = ({ measure }: { readonly measure: Measure }) => {
  const [place, roomPx] = useWidth();
  const nowMs = Date.now();
  const width = Math.max(LEFT + RIGHT + 1, roomPx);
  const x = (atMs: number): number =>
    LEFT + (1 - (nowMs - atMs) / SPAN_MS) * (width - LEFT - RIGHT);
  const lines = memberIds.value.map((id) => ({
    id,
    points: (nodes.value.get(id)?.history ?? []).filter(({ atMs }) => nowMs - atMs < SPAN_MS),
  }));
  const [most, step] = scaleOf(lines.flatMap(({ points }) => points.map(valueBy(measure))));
  const y = (value: number): number => HEIGHT - BOTTOM - (value / most) * (HEIGHT - BOTTOM - TOP);
  const pointed = pointedMs.value;
  const point = (clientX: number, { left }: DOMRect): void => {
    const share = (clientX - left - LEFT) / (width - LEFT - RIGHT);
    pointedMs.value = share < 0 || share > 1 ? undefined : (1 - share) * SPAN_MS;
  };
  return (
    <>
      <div class="plot" ref={place}>
        <svg
          width={width}
          height={HEIGHT}
          aria-hidden="true"
          onPointerMove={(event) =>
            point(event.clientX, event.currentTarget.getBoundingClientRect())
          }
          onPointerLeave={() => (pointedMs.value = undefined)}
        >
          {Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step).map((value) => (
            <g class="tick">
              <line x1={LEFT} x2={width - RIGHT} y1={y(value)} y2={y(value)} />
              <text x={LEFT - 6} y={y(value) + 4} text-anchor="end">
                {shortNumber(value)}
              </text>
            </g>
          ))}
          {TICKS_MS.map((agoMs) => (
            <text
              class="tick"
              x={x(nowMs - agoMs)}
              y={HEIGHT - 5}
              text-anchor={agoMs === 0 ? 'end' : 'middle'}
            >
              {agoText(agoMs)}
            </text>
          ))}
          {lines.map(({ id, points }, i) => (
            <path
              class={`line ${colourOf(id)}`}
              data-line={id}
              stroke-dasharray={i > 6 ? '4 3' : undefined}
              d={pathOf(points, measure, x, y)}
            />
          ))}
          {pointed === undefined ? null : (
            <line
              class="pointed"
              x1={x(nowMs - pointed)}
              x2={x(nowMs - pointed)}
              y1={TOP}
              y2={HEIGHT - BOTTOM}
            />
          )}
        </svg>
      </div>
      <p class="latest">
        {lines.map(({ id, points }) => (
          <span data-latest={id}>
            <NodeName id={id} /> {valueText(at(points, nowMs - (pointed ?? 0)), measure)}
          </span>
        ))}
        {pointed === undefined ? null : <span class="muted">{agoText(pointed)}</span>}
      </p>
    </>
  );
};

const valueBy =
  (measure: Measure) =>
  ({ gauges }: HistoryPoint): number =>
    measure(gauges) ?? 0;

/** The top of the axis, at least 1, and the distance of its lines: 1, 2 or 5 of a power of ten. */
const scaleOf = (values: readonly number[]): readonly [most: number, step: number] => {
  const most = values.reduce((top, value) => Math.max(top, value), 1 / 1.15) * 1.15;
  const power = 10 ** Math.floor(Math.log10(most / 4));
  const step = [1, 2, 5, 10].find((each) => each * power >= most / 4)! * power;
  // Things that are counted have no halves.
  return [most, values.every(Number.isInteger) ? Math.max(1, step) : step];
};

const pathOf = (
  points: readonly HistoryPoint[],
  measure: Measure,
  x: (atMs: number) => number,
  y: (value: number) => number,
): string => {
  let path = '';
  let lastMs = -Infinity;
  for (const { atMs, gauges } of points) {
    const value = measure(gauges);
    if (value === null) continue;
    const [left, top] = [x(atMs).toFixed(1), y(value).toFixed(1)];
    // A point by itself is drawn as a dot: a line of no length with a round end.
    path += atMs - lastMs > GAP_MS ? `M${left} ${top}h0` : `L${left} ${top}`;
    lastMs = atMs;
  }
  return path;
};

/** The point nearest before `atMs`. */
const at = (points: readonly HistoryPoint[], atMs: number): HistoryPoint | undefined =>
  points.findLast((each) => each.atMs <= atMs);

const valueText = (point: HistoryPoint | undefined, measure: Measure): string => {
  const value = point === undefined ? null : measure(point.gauges);
  return value === null ? '–' : String(Number(value.toFixed(2)));
};

/** Room on an axis is scarce. */
const shortNumber = (value: number): string =>
  value >= 10_000 ? `${Math.round(value / 1000)}k` : String(Number(value.toPrecision(3)));

const agoText = (ms: number): string => (ms < 500 ? 'now' : `−${Math.round(ms / 1000)} s`);

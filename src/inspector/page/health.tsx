/** How the cluster is doing: latencies, event loops, buffers, hints, repair. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import type { Gauges } from '../records.ts';
import { Empty, NodeName, Panel, duration } from './bits.tsx';
import { memberIds, nodes, recording } from './store.ts';

type Line = {
  readonly title: string;
  readonly unit: string;
  readonly of: (gauges: Gauges) => number | null;
};

const latency = (operation: string, percentile: 'p50' | 'p99') => (gauges: Gauges) => {
  const found = gauges.latencies[operation];
  return found === undefined || found.count === 0 ? null : found[percentile];
};

const LINES: readonly Line[] = [
  { title: 'put, p99', unit: 'ms', of: latency('put', 'p99') },
  { title: 'get, p99', unit: 'ms', of: latency('get', 'p99') },
  { title: 'event loop late by at most', unit: 'ms', of: ({ loopDelay }) => loopDelay.max },
  { title: 'hints kept for others', unit: '', of: (gauges) => hintsKept(gauges) },
  { title: 'buffered objects', unit: '', of: ({ status }) => status.buffered },
  { title: 'coordinators alive', unit: '', of: ({ status }) => status.coordinators },
];

const hintsKept = ({ status }: Gauges): number =>
  status.nodes.find(({ id }) => id === status.node)?.hints ?? 0;

export const HealthView = () => {
  if (recording.value !== undefined) {
    return (
      <Empty title="A recording has no gauges">
        It holds requests and events: see Requests, Actors and Log.
      </Empty>
    );
  }
  const seen = memberIds.value.flatMap((id) => nodes.value.get(id) ?? []);
  if (seen.length === 0)
    return <Empty title="No gauges yet">Waiting for the first answer of a node.</Empty>;
  const notes = seen.flatMap(({ id, gauges }) => gauges.status.notes.map((note) => ({ id, note })));
  return (
    <div class="health-view">
      {notes.length === 0 ? null : (
        <ul class="notes">
          {notes.map(({ id, note }) => (
            <li>
              <NodeName id={id} /> {note}
            </li>
          ))}
        </ul>
      )}
      <div class="plots">
        {LINES.map((line) => (
          <Panel name={line.title} title={line.title}>
            <Plot line={line} />
          </Panel>
        ))}
      </div>
      <Panel name="latencies" title="Latencies of the last 5–10 s, from birth to reply">
        <div class="scroll">
          <table class="rows">
            <thead>
              <tr>
                <th>node</th>
                <th>operation</th>
                <th class="number">count</th>
                <th class="number">p50</th>
                <th class="number">p99</th>
                <th class="number">p99.9</th>
              </tr>
            </thead>
            <tbody>
              {seen.flatMap(({ id, gauges }) =>
                Object.entries(gauges.latencies).map(([operation, each]) => (
                  <tr>
                    <td>
                      <NodeName id={id} />
                    </td>
                    <td>{operation}</td>
                    <td class="number mono">{each.count}</td>
                    <td class="number mono">{each.count === 0 ? '–' : duration(each.p50)}</td>
                    <td class="number mono">{each.count === 0 ? '–' : duration(each.p99)}</td>
                    <td class="number mono">{each.count === 0 ? '–' : duration(each.p999)}</td>
                  </tr>
                )),
              )}
            </tbody>
          </table>
        </div>
      </Panel>
      <Panel name="debts" title="Hints and repair">
        <div class="scroll">
          <table class="rows">
            <thead>
              <tr>
                <th>node</th>
                <th>keeps hints for</th>
                <th class="number">siblings seen</th>
                <th class="number">mail dropped</th>
                <th>anti-entropy</th>
              </tr>
            </thead>
            <tbody>
              {seen.map(({ id, gauges }) => (
                <tr data-debts={id}>
                  <td>
                    <NodeName id={id} />
                  </td>
                  <td>
                    {gauges.hintsByTarget.length === 0
                      ? 'nobody'
                      : gauges.hintsByTarget
                          .map(({ target, count }) => `${target}: ${count}`)
                          .join(', ')}
                  </td>
                  <td class="number mono">{gauges.siblingsSeen}</td>
                  <td class="number mono">{gauges.status.peerMailDropped}</td>
                  <td class="muted">{repairText(gauges)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Panel>
    </div>
  );
};

/** Status tells what it has of anti-entropy; the page shows its numbers, whatever their names. */
const repairText = ({ status }: Gauges): string => {
  const { repair } = status as unknown as { readonly repair?: readonly Record<string, unknown>[] };
  if (repair === undefined || repair.length === 0) return 'no round yet';
  return repair
    .map((report) =>
      Object.entries(report)
        .filter(([, value]) => typeof value === 'number' || typeof value === 'string')
        .map(([name, value]) =>
          name === 'node' || name === 'peer' ? `with ${String(value)}` : `${name} ${String(value)}`,
        )
        .join(' '),
    )
    .join(' · ');
};

const Plot = ({ line }: { readonly line: Line }) => {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const ids = memberIds.value;
  const known = ids.join();
  useEffect(() => {
    const element = place.current!;
    const style = getComputedStyle(element);
    const ink = style.getPropertyValue('--muted');
    const grid = { stroke: style.getPropertyValue('--line'), width: 1 };
    const colour = (index: number): string => style.getPropertyValue(`--c${index % 7}`);
    const made = new uPlot(
      {
        width: element.clientWidth,
        height: 150,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.15)] },
        },
        axes: [
          { stroke: ink, grid, ticks: grid, values: (_, splits) => splits.map(agoText) },
          {
            stroke: ink,
            grid,
            ticks: grid,
            size: 46,
            values: (_, splits) =>
              splits.map((value) => `${value}${line.unit === '' ? '' : ` ${line.unit}`}`),
          },
        ],
        series: [
          {},
          ...ids.map((id, index) => ({
            label: id,
            stroke: colour(index),
            width: 2,
            dash: index > 6 ? [4, 3] : [],
            spanGaps: true,
          })),
        ],
      },
      [[], ...ids.map(() => [])],
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: 150 }),
    );
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
    };
  }, [known]);
  useEffect(() => {
    plot.current?.setData(seriesOf(ids, line));
  });
  const latest = ids.map((id) => ({ id, value: latestOf(id, line) }));
  return (
    <>
      <div class="plot" ref={place} />
      <p class="latest">
        {latest.map(({ id, value }) => (
          <span data-latest={id}>
            <NodeName id={id} /> {value === null ? '–' : Number(value.toFixed(2))}
            {value === null || line.unit === '' ? '' : ` ${line.unit}`}
          </span>
        ))}
      </p>
    </>
  );
};

const agoText = (seconds: number): string => {
  const ago = Math.round(Date.now() / 1000 - seconds);
  return ago <= 0 ? 'now' : `−${ago} s`;
};

const latestOf = (id: string, line: Line): number | null => {
  const seen = nodes.value.get(id);
  return seen === undefined ? null : line.of(seen.gauges);
};

/** One column of times for all nodes; where a node has no point at a time, a gap. */
const seriesOf = (ids: readonly string[], line: Line): uPlot.AlignedData => {
  const BUCKET_MS = 500;
  const since = Date.now() - 120_000;
  const columns = new Map<number, (number | null)[]>();
  ids.forEach((id, index) => {
    for (const { atMs, gauges } of nodes.value.get(id)?.history ?? []) {
      if (atMs < since) continue;
      const bucket = Math.round(atMs / BUCKET_MS);
      let column = columns.get(bucket);
      if (column === undefined) columns.set(bucket, (column = ids.map(() => null)));
      column[index] = line.of(gauges);
    }
  });
  const sorted = [...columns].sort((a, b) => a[0] - b[0]);
  return [
    sorted.map(([bucket]) => (bucket * BUCKET_MS) / 1000),
    ...ids.map((_, index) => sorted.map(([, column]) => column[index]!)),
  ];
};

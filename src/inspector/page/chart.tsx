/** A machine's statechart, with the states it is in lit. */
import charts from 'charts';
import type { Chart, ChartEdge, ChartState } from '../charts.ts';

const LINE_PX = 14;

/** `state` as records tell it: `reading.waiting`, or `life.serving, handoff.running`. */
export const MachineChart = ({
  machine,
  state,
  event,
}: {
  readonly machine: string;
  readonly state: string | undefined;
  /** What happened last: its arrow is drawn stronger. */
  readonly event?: string | undefined;
}) => {
  const chart: Chart | undefined = charts[machine];
  if (chart === undefined) return <p class="muted">No chart of {machine} is in this page.</p>;
  const lit = new Set((state ?? '').split(', '));
  const isLit = ({ path }: ChartState): boolean =>
    [...lit].some((each) => each === path || each.startsWith(`${path}.`));
  const litIds = new Set(chart.states.filter(isLit).map(({ id }) => id));
  const width = Math.max(chart.width, 240);
  return (
    <figure class="chart" data-machine={machine} data-state={state}>
      <svg
        viewBox={`-4 -4 ${width + 8} ${chart.height + 8}`}
        style={{
          maxWidth: `${Math.round(width * 1.15)}px`,
          // On a phone it is moved about rather than too small to read.
          minWidth: `${Math.round(width * 0.8)}px`,
        }}
        role="img"
        aria-label={`${machine}: ${state ?? 'not running'}`}
      >
        <defs>
          <marker
            id="arrow"
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="7"
            markerHeight="7"
            orient="auto-start-reverse"
          >
            <path d="M0 0 8 4 0 8z" />
          </marker>
        </defs>
        {chart.states.map((each) => (
          <StateBox key={each.id} state={each} lit={isLit(each)} />
        ))}
        {chart.edges.map((edge, i) => (
          <Edge key={i} edge={edge} taken={litIds.has(edge.to) && mentions(edge, event)} />
        ))}
      </svg>
      {chart.onAny.length === 0 ? null : (
        <figcaption>in any state: {chart.onAny.join(', ')}</figcaption>
      )}
    </figure>
  );
};

const mentions = ({ label }: ChartEdge, event: string | undefined): boolean =>
  event !== undefined && label !== undefined && label.includes(event);

const StateBox = ({ state, lit }: { readonly state: ChartState; readonly lit: boolean }) => {
  const { x, y, width, height, name, handles, compound, initial } = state;
  const middle = compound ? 18 : handles.length === 0 ? height / 2 + 4 : 19;
  return (
    <g
      class={`state ${lit ? 'lit' : ''} ${compound ? 'compound' : ''}`}
      transform={`translate(${x} ${y})`}
    >
      <rect width={width} height={height} rx="7" />
      {initial ? <circle class="initial" cx="0" cy="0" r="4" /> : null}
      <text
        class="name"
        x={compound ? 12 : width / 2}
        y={middle}
        text-anchor={compound ? 'start' : 'middle'}
      >
        {lit ? '▸ ' : ''}
        {name}
      </text>
      {compound
        ? null
        : handles.map((line, i) => (
            <text class="handles" x={width / 2} y={34 + i * LINE_PX} text-anchor="middle">
              {line}
            </text>
          ))}
    </g>
  );
};

const Edge = ({ edge, taken }: { readonly edge: ChartEdge; readonly taken: boolean }) => (
  <g class={`edge ${taken ? 'taken' : ''}`}>
    <polyline
      points={edge.points.map((point) => point.join()).join(' ')}
      marker-end="url(#arrow)"
    />
    {edge.label?.split('\n').map((line, i) => (
      <text x={edge.labelX! + 2} y={edge.labelY! + 11 + i * LINE_PX}>
        {line}
      </text>
    ))}
  </g>
);

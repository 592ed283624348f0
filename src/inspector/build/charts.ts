/** The charts of all machines, laid out at build time by ELK from the machines themselves. */
import ElkConstructor from 'elkjs/lib/elk.bundled.js';
import type { ElkExtendedEdge, ElkNode } from 'elkjs/lib/elk-api.js';
import { MACHINES } from '../machines.ts';
import type { Chart, ChartEdge, ChartState } from '../charts.ts';

type StateNode = {
  readonly id: string;
  readonly key: string;
  readonly type: string;
  readonly initial: { readonly target?: readonly StateNode[] };
  readonly states: Readonly<Record<string, StateNode>>;
  readonly transitions: ReadonlyMap<string, readonly Transition[]>;
  readonly always?: readonly Transition[];
};

type Transition = {
  readonly target?: readonly StateNode[];
  readonly guard?: unknown;
  readonly eventType: string;
};

const OPTIONS = {
  'elk.algorithm': 'layered',
  'elk.direction': 'DOWN',
  'elk.aspectRatio': '0.9',
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.edgeRouting': 'POLYLINE',
  'elk.spacing.nodeNode': '28',
  'elk.spacing.edgeLabel': '4',
  'elk.spacing.edgeNode': '18',
  'elk.layered.spacing.nodeNodeBetweenLayers': '34',
  'elk.layered.spacing.edgeNodeBetweenLayers': '14',
  'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
  'elk.edgeLabels.inline': 'false',
} as const;
const PADDING = { 'elk.padding': '[top=26,left=14,bottom=14,right=14]' } as const;
const TEXT_PX = 6.3;
const LINE_PX = 14;
/** Regions of a parallel machine fill rows of this width. */
const ROW_PX = 620;

export const layOutCharts = async (): Promise<Readonly<Record<string, Chart>>> => {
  const charts: Record<string, Chart> = {};
  for (const [name, machine] of Object.entries(MACHINES)) {
    const root = machine.root as unknown as StateNode;
    charts[name] = root.type === 'parallel' ? await layOutRegions(root) : await layOut(root);
  }
  return charts;
};

/** Regions side by side, in rows of bounded width. */
const layOutRegions = async (root: StateNode): Promise<Chart> => {
  let [x, y, rowHeight, width] = [0, 0, 0, 0];
  const states: ChartState[] = [];
  const edges: ChartEdge[] = [];
  for (const region of Object.values(root.states)) {
    const chart = await layOut(root, [region]);
    if (x > 0 && x + chart.width > ROW_PX) [x, y, rowHeight] = [0, y + rowHeight, 0];
    const [dx, dy] = [x, y];
    states.push(...chart.states.map((state) => ({ ...state, x: state.x + dx, y: state.y + dy })));
    edges.push(...chart.edges.map((edge) => movedEdge(edge, dx, dy)));
    x += chart.width;
    width = Math.max(width, x);
    rowHeight = Math.max(rowHeight, chart.height);
  }
  return { width, height: y + rowHeight, states, edges, onAny: [] };
};

const movedEdge = (edge: ChartEdge, dx: number, dy: number): ChartEdge => ({
  ...edge,
  points: edge.points.map(([x, y]) => [x + dx, y + dy] as const),
  ...(edge.label === undefined ? {} : { labelX: edge.labelX! + dx, labelY: edge.labelY! + dy }),
});

const layOut = async (
  root: StateNode,
  regions: readonly StateNode[] = Object.values(root.states),
): Promise<Chart> => {
  const edges: ElkExtendedEdge[] = [];
  const inner = new Map<string, readonly string[]>();
  const children = regions.map((state) => elkNode(state, edges, inner));
  addTransitions(root, edges, inner);
  const elk = new ElkConstructor.default();
  const graph: ElkNode = { id: root.id, layoutOptions: OPTIONS, children, edges: merged(edges) };
  const laid: ElkNode = await elk.layout(graph);
  const states: ChartState[] = [];
  for (const child of laid.children ?? []) collect(child, 0, 0, root.id, inner, states);
  const initial = initialsOf(root);
  return {
    width: Math.ceil(laid.width ?? 0),
    height: Math.ceil(laid.height ?? 0),
    states: states.map((state) => ({ ...state, initial: initial.has(state.id) })),
    edges: edgesOf(laid, states),
    onAny: inner.get(root.id) ?? [],
  };
};

/** Arrows between the same two states become one, with a label of several lines. */
const merged = (edges: readonly ElkExtendedEdge[]): ElkExtendedEdge[] => {
  const byEnds = new Map<string, string[]>();
  for (const { sources, targets, labels } of edges) {
    const ends = `${sources[0]} ${targets[0]}`;
    byEnds.set(ends, [...(byEnds.get(ends) ?? []), ...(labels ?? []).map(({ text }) => text!)]);
  }
  return [...byEnds].map(([ends, lines]) => {
    const [from, to] = ends.split(' ') as [string, string];
    const width = Math.max(0, ...lines.map((line) => line.length)) * TEXT_PX + 4;
    const label = { text: lines.join('\n'), width, height: lines.length * LINE_PX };
    const labels = lines.length === 0 ? {} : { labels: [label] };
    return { id: ends, sources: [from], targets: [to], ...labels };
  });
};

const elkNode = (
  state: StateNode,
  edges: ElkExtendedEdge[],
  inner: Map<string, readonly string[]>,
): ElkNode => {
  const children = Object.values(state.states).map((child) => elkNode(child, edges, inner));
  addTransitions(state, edges, inner);
  const lines = inner.get(state.id) ?? [];
  const widest = Math.max(state.key.length + 1, ...lines.map((line) => line.length * 0.9));
  const size = { width: Math.max(64, widest * 7 + 24), height: 30 + lines.length * LINE_PX };
  if (children.length === 0) return { id: state.id, ...size };
  return {
    id: state.id,
    children,
    layoutOptions: {
      ...PADDING,
      'elk.nodeSize.constraints': 'MINIMUM_SIZE',
      'elk.nodeSize.minimum': `(${size.width},${size.height})`,
    },
  };
};

/** Transitions to another state are edges; the others are told inside their state. */
const addTransitions = (
  state: StateNode,
  edges: ElkExtendedEdge[],
  inner: Map<string, readonly string[]>,
): void => {
  const told: string[] = [];
  const all = [...state.transitions.values(), state.always ?? []].flat();
  for (const { target, guard, eventType } of all) {
    const label = [eventText(eventType), guardText(guard)].filter((text) => text !== '').join(' ');
    const to = target?.[0];
    if (to === undefined || state.id === to.id) told.push(label + (to === undefined ? '' : ' ↻'));
    // From the root everything leads anywhere: an edge from nowhere tells less than a line of text.
    else if (!state.id.includes('.')) told.push(`${label} → ${to.key}`);
    else {
      const labels = label === '' ? {} : { labels: [{ text: label }] };
      edges.push({ id: '', sources: [state.id], targets: [to.id], ...labels });
    }
  }
  inner.set(state.id, [...new Set(told)]);
};

const eventText = (type: string): string => {
  const timer = /^xstate\.after\.([^.]+)\./.exec(type);
  if (timer !== null) return `after ${timer[1]}`;
  return /^xstate\.error\./.test(type) ? 'crash' : type;
};

const guardText = (guard: unknown): string => {
  if (guard === undefined) return '';
  const name = typeof guard === 'string' ? guard : (guard as { readonly type?: string }).type;
  return name === undefined ? '' : `[${name}]`;
};

const initialsOf = (state: StateNode): Set<string> => {
  const ids = (state.initial.target ?? []).map(({ id }) => id);
  const inside = Object.values(state.states).flatMap((child) => [...initialsOf(child)]);
  return new Set([...ids, ...inside]);
};

const collect = (
  node: ElkNode,
  left: number,
  top: number,
  rootId: string,
  inner: Map<string, readonly string[]>,
  states: ChartState[],
): void => {
  const [x, y] = [Math.round(left + (node.x ?? 0)), Math.round(top + (node.y ?? 0))];
  const path = node.id.slice(rootId.length + 1);
  const name = path.split('.').at(-1)!;
  const [width, height] = [Math.round(node.width ?? 0), Math.round(node.height ?? 0)];
  const box = { x, y, width, height };
  const compound = (node.children ?? []).length > 0;
  const handles = inner.get(node.id) ?? [];
  states.push({ id: node.id, path, name, ...box, compound, initial: false, handles });
  for (const child of node.children ?? []) collect(child, x, y, rootId, inner, states);
};

const edgesOf = (laid: ElkNode, states: readonly ChartState[]): readonly ChartEdge[] =>
  (laid.edges ?? []).map((edge) => {
    // Coordinates of an edge are relative to the closest common ancestor of its ends.
    const container = (edge as { readonly container?: string }).container;
    const base = states.find(({ id }) => id === container);
    const [dx, dy] = [base?.x ?? 0, base?.y ?? 0];
    const points = (edge.sections ?? []).flatMap(({ startPoint, bendPoints, endPoint }) =>
      [startPoint, ...(bendPoints ?? []), endPoint].map(
        ({ x, y }) => [Math.round(x + dx), Math.round(y + dy)] as const,
      ),
    );
    const label = edge.labels?.[0];
    const from = edge.sources[0]!;
    return {
      from,
      to: edge.targets[0]!,
      points,
      ...(label === undefined
        ? {}
        : {
            label: label.text!,
            labelX: Math.round((label.x ?? 0) + dx),
            labelY: Math.round((label.y ?? 0) + dy),
          }),
    };
  });

/** A statechart as the page draws it: boxes, arrows and where they are, px. */
export type ChartState = {
  /** As XState names it: `put.writing`. */
  readonly id: string;
  /** Without the machine: `writing`, `reading.waiting`. */
  readonly path: string;
  readonly name: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly compound: boolean;
  readonly initial: boolean;
  /** Events taken without leaving the state. */
  readonly handles: readonly string[];
};

export type ChartEdge = {
  readonly from: string;
  readonly to: string;
  readonly points: readonly (readonly [number, number])[];
  readonly label?: string;
  readonly labelX?: number;
  readonly labelY?: number;
};

export type Chart = {
  readonly width: number;
  readonly height: number;
  readonly states: readonly ChartState[];
  readonly edges: readonly ChartEdge[];
  /** What the machine does in any state. */
  readonly onAny: readonly string[];
};

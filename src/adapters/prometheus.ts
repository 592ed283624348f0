/** Metrics as Prometheus reads them: a node's own and those of its process (prom-client). */
import { Registry, collectDefaultMetrics } from 'prom-client';
import type { Metric as PromMetric } from 'prom-client';
import type { AdminReply } from '../ports/admin.ts';

/** The shape of src/node/operators/metrics.ts. */
export type Figures = readonly {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly values: readonly {
    readonly labels: Readonly<Record<string, string | number>>;
    readonly value: number;
    readonly name?: string;
  }[];
}[];

/**
 * Between two looks at the event loop, ms: the least lag that is ever shown, for prom-client tells the
 * whole pause. At its default of 10 the looking was half of what an idle node cost.
 */
const EVENT_LOOP_LOOK_MS = 50;

/** Answers `/metrics`; `figures` is asked anew each time, `close` stops what watches the process. */
export const prometheus = (
  node: string,
  figures: () => Figures,
): { readonly serve: () => Promise<AdminReply> } => {
  const process = new Registry();
  process.setDefaultLabels({ node });
  collectDefaultMetrics({ register: process, eventLoopMonitoringPrecision: EVENT_LOOP_LOOK_MS });
  return {
    serve: async () => {
      const own = new Registry();
      own.setDefaultLabels({ node });
      for (const figure of figures()) own.registerMetric(asPromMetric(figure));
      const text = (await own.metrics()) + (await process.metrics());
      // The lag of an event loop that nobody has measured since the last scrape.
      const body = text.replace(/^.* Nan\n/gm, '');
      return { status: 200, type: own.contentType, body };
    },
  };
};

/** prom-client asks a metric for nothing but its name and `get`: figures that are counted elsewhere. */
const asPromMetric = ({ name, help, type, values }: Figures[number]): PromMetric =>
  ({
    name,
    get: async () => ({
      ...{ name, help, type, aggregator: 'sum' },
      values: values.map(({ name: metricName = name, labels, value }) => ({
        ...{ metricName, labels, value },
      })),
    }),
  }) as unknown as PromMetric;

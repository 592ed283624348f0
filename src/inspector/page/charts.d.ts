declare module 'charts' {
  import type { Chart } from '../charts.ts';
  const charts: Readonly<Record<string, Chart>>;
  export default charts;
}

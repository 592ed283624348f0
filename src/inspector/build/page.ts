/**
 * Builds the inspector's page: types checked, bundled and minified into `dist/src/inspector/page`.
 * Part of `npm run build`; the libraries it needs are no dependency of whoever installs coterie.
 */
import { copyFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Plugin } from 'esbuild';
import { layOutCharts } from './charts.ts';

const SOURCE = fileURLToPath(new URL('../../../../src/inspector/page/', import.meta.url));
const OUTPUT = fileURLToPath(new URL('../page/', import.meta.url));

const charts = await layOutCharts();

/** `import charts from 'charts'`. */
const chartsModule: Plugin = {
  name: 'charts',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^charts$/ }, () => ({ path: 'charts', namespace: 'charts' }));
    onLoad({ filter: /.*/, namespace: 'charts' }, () => ({
      contents: JSON.stringify(charts),
      loader: 'json',
    }));
  },
};

mkdirSync(OUTPUT, { recursive: true });
await build({
  entryPoints: [`${SOURCE}page.tsx`, `${SOURCE}page.css`],
  outdir: OUTPUT,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  logLevel: 'warning',
  plugins: [chartsModule],
});
for (const name of ['index.html', 'icon.svg']) copyFileSync(`${SOURCE}${name}`, `${OUTPUT}${name}`);

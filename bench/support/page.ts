/** A page of plots and tables: one file, no script, readable offline and when printed. */

export type Line = {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** What the paper drew; ours is solid. */
  readonly style?: 'solid' | 'dashed';
};

export type Plot = {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly lines: readonly Line[];
  readonly scaleX?: 'linear' | 'log';
  readonly scaleY?: 'linear' | 'log';
  /** From this on, if the numbers themselves do not ask for less. */
  readonly fromY?: number;
};

export type Section = {
  readonly title: string;
  readonly text: string;
  readonly plots: readonly Plot[];
  readonly tables: readonly Table[];
};
export type Table = { readonly title: string; readonly rows: readonly object[] };

const COLOURS = ['#1b6ca8', '#c1440e', '#3a7d44', '#7b4b94', '#8a6d00', '#555'];
const WIDTH = 640;
const HEIGHT = 320;
const LEFT = 64;
const RIGHT = 16;
const TOP = 12;
const BOTTOM = 44;

type Axis = { readonly place: (value: number) => number; readonly ticks: readonly number[] };

export const plotSvg = (plot: Plot): string => {
  const points = plot.lines.flatMap((line) => line.points);
  const x = axisOf(
    points.map(([at]) => at),
    plot.scaleX ?? 'linear',
    [LEFT, WIDTH - RIGHT],
  );
  const heights = points.map(([, at]) => at);
  const y = axisOf(
    plot.fromY === undefined ? heights : [...heights, plot.fromY],
    plot.scaleY ?? 'linear',
    [HEIGHT - BOTTOM, TOP],
  );
  const parts = [
    ...y.ticks.map((tick) => grid(LEFT, y.place(tick), WIDTH - RIGHT, y.place(tick))),
    ...y.ticks.map((tick) => label(LEFT - 6, y.place(tick) + 4, shown(tick), 'end')),
    ...x.ticks.map((tick) => label(x.place(tick), HEIGHT - BOTTOM + 16, shown(tick), 'middle')),
    label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, plot.x, 'middle'),
    label(12, TOP + 130, plot.y, 'middle', `rotate(-90 12 ${TOP + 130})`),
    ...plot.lines.flatMap((line, i) => drawn(line, COLOURS[i % COLOURS.length]!, x, y)),
  ];
  const legend = plot.lines.map(
    ({ name, style }, i) =>
      `<li style="color:${COLOURS[i % COLOURS.length]}">${style === 'dashed' ? '┄' : '━'} ${escaped(name)}</li>`,
  );
  return [
    `<figure><figcaption>${escaped(plot.title)}</figcaption>`,
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(plot.title)}">`,
    ...parts,
    `</svg><ul class="legend">${legend.join('')}</ul></figure>`,
  ].join('\n');
};

const axisOf = (
  values: readonly number[],
  scale: 'linear' | 'log',
  [from, to]: readonly [number, number],
): Axis => {
  const finite = values.filter(
    (value) => Number.isFinite(value) && (scale === 'linear' || value > 0),
  );
  const least = Math.min(...finite);
  const most = Math.max(...finite);
  if (scale === 'log') {
    const low = Math.floor(Math.log10(least) * 3) / 3;
    const high = Math.max(low + 1 / 3, Math.ceil(Math.log10(most) * 3) / 3);
    const ticks: number[] = [];
    for (let power = Math.floor(low); power <= high; power++) {
      for (const digit of [1, 2, 5]) {
        const tick = digit * 10 ** power;
        const at = Math.log10(tick);
        if (at >= low - 1e-9 && at <= high + 1e-9) ticks.push(tick);
      }
    }
    return {
      place: (value) =>
        from + ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) * (to - from),
      ticks,
    };
  }
  const span = most - least || Math.abs(most) || 1;
  const raw = span / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((each) => each >= raw)!;
  const low = Math.floor(least / step) * step;
  const high = Math.max(low + step, Math.ceil(most / step) * step);
  const ticks = Array.from(
    { length: Math.round((high - low) / step) + 1 },
    (_, i) => low + i * step,
  );
  return { place: (value) => from + ((value - low) / (high - low)) * (to - from), ticks };
};

const drawn = ({ points, style }: Line, colour: string, x: Axis, y: Axis): string[] => {
  const placed = points.map(([at, value]) => [x.place(at), y.place(value)] as const);
  const path = placed.map(([at, value]) => `${at.toFixed(1)},${value.toFixed(1)}`).join(' ');
  const dash = style === 'dashed' ? ' stroke-dasharray="5 4"' : '';
  return [
    `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.8"${dash}/>`,
    ...(points.length > 60
      ? []
      : placed.map(
          ([at, value]) =>
            `<circle cx="${at.toFixed(1)}" cy="${value.toFixed(1)}" r="2.4" fill="${colour}"/>`,
        )),
  ];
};

const grid = (x1: number, y1: number, x2: number, y2: number): string =>
  `<line x1="${x1}" y1="${y1.toFixed(1)}" x2="${x2}" y2="${y2.toFixed(1)}" stroke="#ddd"/>`;

const label = (x: number, y: number, text: string, anchor: string, transform?: string): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}"` +
  `${transform === undefined ? '' : ` transform="${transform}"`}>${escaped(text)}</text>`;

const shown = (value: number): string =>
  Math.abs(value) >= 10_000
    ? `${Number((value / 1000).toPrecision(3))}k`
    : `${Number(value.toPrecision(3))}`;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

const tableHtml = ({ title, rows }: Table): string => {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = (row: object): string =>
    columns
      .map((name) => `<td>${escaped(String((row as Record<string, unknown>)[name] ?? ''))}</td>`)
      .join('');
  return [
    `<table><caption>${escaped(title)}</caption>`,
    `<tr>${columns.map((name) => `<th>${escaped(name)}</th>`).join('')}</tr>`,
    ...rows.map((row) => `<tr>${cells(row)}</tr>`),
    '</table>',
  ].join('\n');
};

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc } figure { margin: 1.2rem 0 }
figcaption, caption { font-weight: 600; text-align: left; margin-bottom: .3rem }
svg { width: 100%; height: auto } svg text { font: 11px system-ui, sans-serif; fill: #444 }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 0 1.2rem; padding: 0; margin: 0; font-size: 13px }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px; display: block; overflow-x: auto }
th, td { border: 1px solid #ddd; padding: .2rem .5rem; text-align: right } th { background: #f4f4f4 }
td:first-child, th:first-child { text-align: left } .setting { color: #666; font-size: 13px }`;

export const pageHtml = (title: string, setting: string, sections: readonly Section[]): string =>
  [
    '<!doctype html><html lang="en"><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width">',
    `<title>${escaped(title)}</title><style>${STYLE}</style>`,
    `<h1>${escaped(title)}</h1><p class="setting">${escaped(setting)}</p>`,
    ...sections.flatMap((section) => [
      `<h2>${escaped(section.title)}</h2>`,
      ...section.text.split('\n\n').map((paragraph) => `<p>${escaped(paragraph)}</p>`),
      ...section.plots.map(plotSvg),
      ...section.tables.map(tableHtml),
    ]),
    '</html>\n',
  ].join('\n');

/**
 * `npm run bench:paper`: the paper's figures again, in one page with plots: Fig. 4, 5, 6, 8, § 6.3
 * and Table 2. `-- --only 8,6.3` makes some of them, `-- --patience 0.2` hurries the live ones.
 */
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { pageHtml } from '../support/page.ts';
import type { Section } from '../support/page.ts';
import { settingNow, writeJson } from '../support/table.ts';
import { figure6, figure6Section } from './figure6.ts';
import { figure8, figure8Section } from './figure8.ts';
import { figure4, figure4Section, figure5, figure5Section, table2, table2Section } from './live.ts';
import { versions, versionsSection } from './versions.ts';

type Flags = {
  readonly only?: string;
  readonly html: string;
  readonly json?: string;
  readonly patience: number;
};

const FIGURES: Readonly<Record<string, (patience: number) => Promise<Section> | Section>> = {
  '4': async (patience) => figure4Section(await figure4({ patience })),
  '5': async (patience) => figure5Section(await figure5({ patience })),
  '6': () => figure6Section(figure6()),
  '6.3': () => versionsSection(versions()),
  '8': () => figure8Section(figure8()),
  table2: async (patience) => table2Section(await table2({ patience })),
};

const program = new Command('bench:paper')
  .option('--only <names>', `some of ${Object.keys(FIGURES).join(', ')}, by commas`)
  .option('--html <file>', 'where the page goes', 'bench-paper.html')
  .option('--json <file>', 'also write the tables and points there')
  .option('--patience <factor>', 'how long the live figures are measured', Number, 1)
  .parse();
const { only, html, json, patience } = program.opts<Flags>();
const names = only?.split(',') ?? Object.keys(FIGURES);
for (const name of names) {
  if (FIGURES[name] === undefined) program.error(`unknown figure ${name}`);
}

const sections: Section[] = [];
for (const name of names) {
  const section = await FIGURES[name]!(patience);
  sections.push(section);
  process.stdout.write(`\n${section.title}\n${section.text}\n`);
  for (const { title, rows } of section.tables) {
    process.stdout.write(`${title}\n`);
    console.table(rows);
  }
}
const { commit, date, machine, node } = settingNow();
const setting = `commit ${commit}, ${date}, ${machine}, Node ${node}`;
writeFileSync(html, pageHtml('The Dynamo paper, measured again', setting, sections));
if (json !== undefined) writeJson(json, { sections });
process.stdout.write(`\n${setting}\nThe page: ${html}\n`);

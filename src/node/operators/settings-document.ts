/** CONFIGURATION.md, made of the table of settings. */
import { SETTINGS, readable } from './settings.ts';

export const settingsDocument = (): string => `${INTRODUCTION}\n\n${table()}`;

const table = (): string => {
  const rows = SETTINGS.map((setting) => {
    const { name, kind, value, about, change } = setting;
    const bounded = kind === 'count' || kind === 'ms' || kind === 'bytes';
    const shown =
      value === undefined ? '' : bounded ? readable(kind, value as number) : String(value);
    const range = bounded
      ? `${readable(kind, setting.min)} – ${readable(kind, setting.max)}`
      : kind === 'choice'
        ? setting.choices.join(', ')
        : kind;
    return `| \`${name}\` | ${shown} | ${range} | ${change === 'live' ? 'yes' : ''} | ${about} |`;
  });
  return [
    '| setting | default | range | live | what for |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
};

const INTRODUCTION = `# Settings

Each setting has one name and four places, the first one that has it wins:

1. a flag of \`coterie start\`: \`--replica-hints-max 5000\`
2. the environment: \`COTERIE_REPLICA_HINTS_MAX=5000\`
3. the JSON file of \`--config\` or \`COTERIE_CONFIG\`: \`{"replica": {"hintsMax": 5000}}\`
4. the default below

Durations take \`ms\`, \`s\`, \`m\`, \`h\`, \`d\`, sizes \`B\`, \`kB\`, \`MB\`, \`GB\`, \`KiB\`, \`MiB\`, \`GiB\`; a number without
a unit is in the unit of the name. Lists are separated by commas, or an array in the file. An unknown
name, a value that cannot be read or is out of bounds, and a combination that cannot be end the
command with exit code 2 and the name of what is wrong. \`coterie config --effective\` shows what would
hold and where each value comes from; \`--json\` for programs.

What is *live* may change while a node runs: \`coterie config set lingerMs 500ms --every-node\`; it holds until
the process ends, and \`coterie config running\` shows it. \`logLevel.handoff debug\` sets the level of one actor
(\`membership\`, \`failureDetector\`, \`writeBuffer\`, \`handoff\`, \`antiEntropy\`, \`exchange\`, \`transfer\`,
\`admission\`, \`node\`) or of the events that begin with a word (\`peer\`, \`request\`, \`hint\`), \`inherited\` takes it back.

In a program the same names go to \`startNode({ config: { replica: { hintsMax: 5000 } } })\`.

\`coterie config --markdown > src/node/CONFIGURATION.md\` writes this file; a test holds it true.`;

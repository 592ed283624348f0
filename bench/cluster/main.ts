/** `npm run bench:cluster`: real clusters of processes under load. `--help` lists what it can do. */
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { quick } from './quick.ts';

type Flags = {
  readonly quick?: boolean;
  readonly json?: string;
  readonly only?: string;
  readonly profile?: string;
  readonly keys: number;
  readonly seconds?: number;
  readonly warm?: number;
};

const program = new Command('bench:cluster')
  .option('--quick', 'the headline ratios in under two minutes', true)
  .option('--json <file>', 'also write the results there')
  .option('--only <name>', 'quick: only cases whose name has this in it')
  .option('--profile <dir>', 'leave one CPU profile of each node there')
  .option('--keys <count>', 'how many keys there are', Number, 100_000)
  .option('--seconds <count>', 'how long each measurement lasts', Number)
  .option('--warm <count>', 'how long each is warmed up, s', Number)
  .parse();
const flags = program.opts<Flags>();

const result = await quick({
  only: flags.only,
  profileDir: flags.profile,
  keys: flags.keys,
  warmSeconds: flags.warm ?? 5,
  seconds: flags.seconds ?? 2,
});
process.stdout.write(`one ws echo: ${result.echoMicroseconds} µs of server CPU\n`);
console.table(result.cases);
if (flags.json !== undefined) {
  writeFileSync(flags.json, `${JSON.stringify(result, undefined, 2)}\n`);
}

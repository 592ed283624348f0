/** `coterie story`: what befell one request, by the name that the log gives a slow one. */
import type { Command } from 'commander';
import type { InspectionRecord, StorySummary } from '../inspector/records.ts';
import { print, withClient, withConnection } from './data.ts';
import type { ConnectionFlags } from './data.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { ask, askEveryNode } from './operator.ts';
import { tableText } from './table.ts';

export const addStoryCommand = (program: Command): void => {
  withConnection(program.command('story').argument('[name]'))
    .description(
      'what befell a request that was slow, failed or met siblings, step by step; without a name: which there are',
    )
    .addHelpText('after', '\nExample:\n  coterie story n1.4503599627370497\n')
    .action((name: string | undefined, flags: ConnectionFlags) =>
      name === undefined ? list(flags) : show(name, flags),
    );
};

const list = (flags: ConnectionFlags): Promise<void> =>
  withClient(flags, async (client) => {
    const { stories } = await ask<{ readonly stories: readonly StorySummary[] }>(
      client,
      'story.list',
    );
    if (flags.json === true) return print(stories);
    const rows = stories.map(({ cause, machine, key, outcome, why, replyMs }) => [
      ...[cause, machine, key, outcome, why],
      replyMs === undefined ? 'never' : `${replyMs.toFixed(1)} ms`,
    ]);
    process.stdout.write(
      tableText(['STORY', 'REQUEST', 'KEY', 'OUTCOME', 'KEPT AS', 'ANSWERED'], rows),
    );
  });

const show = (name: string, flags: ConnectionFlags): Promise<void> =>
  withClient(flags, async (client) => {
    // The node in the name keeps it; whoever is asked knows where that is.
    const answers = await askEveryNode(client, flags, (own) =>
      ask<{ readonly records?: readonly InspectionRecord[] }>(own, 'story.show', { story: name }),
    );
    const records = answers.flatMap((each) =>
      'answer' in each ? (each.answer.records ?? []) : [],
    );
    if (records.length === 0) {
      throw new CommandFailure(
        `no node keeps a story ${name}: they keep the last few hundred, while their inspector is on`,
        EXIT.notFound,
      );
    }
    if (flags.json === true) return print(records);
    const begunMs = records[0]!.atMs;
    for (const { atMs, node, type, what, state, peer, facts } of records) {
      const details = Object.entries(facts ?? {}).map(
        ([fact, value]) => `${fact}=${String(value)}`,
      );
      const words = [type, what, state ?? '', peer ?? '', ...details].filter((word) => word !== '');
      process.stdout.write(
        `${(atMs - begunMs).toFixed(1).padStart(8)} ms  ${node}  ${words.join(' ')}\n`,
      );
    }
  });

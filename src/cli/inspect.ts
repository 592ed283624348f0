/** `coterie inspect`: the page of the inspector with a recording in it. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { serveRecording } from '../index.ts';
import { CommandFailure, EXIT, integer } from './exit.ts';

export const addInspectCommand = (program: Command): void => {
  program
    .command('inspect <file>')
    .description(
      'replay a recording (of simulate --inspect, or exported from the page) in a browser',
    )
    .option('--port <port>', 'where on 127.0.0.1; 0 picks a free one', integer, 0)
    .addHelpText('after', '\nExample:\n  coterie inspect coterie-seed-42.json\n')
    .action(inspect);
};

const inspect = async (file: string, { port }: { readonly port: number }): Promise<void> => {
  const served = await serveRecording(textOf(file), `127.0.0.1:${port}`);
  process.stdout.write(`Replay it at ${served.url}\nCtrl-C ends this.\n`);
  process.send?.({ url: served.url });
  await new Promise<void>((resolve) => {
    const leave = (): void => {
      if (process.connected) process.disconnect();
      served.close(resolve);
    };
    process.once('SIGINT', leave);
    process.once('SIGTERM', leave);
  });
};

const textOf = (file: string): string => {
  try {
    const text = readFileSync(file, 'utf8');
    if (text.startsWith('{"format":"coterie recording 1"')) return text;
  } catch (error) {
    throw new CommandFailure((error as Error).message, EXIT.refused);
  }
  throw new CommandFailure(`${file} is no recording of coterie`, EXIT.refused);
};

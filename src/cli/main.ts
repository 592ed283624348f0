#!/usr/bin/env node
/** The `coterie` command: runs nodes, and talks to them. */
import { CommanderError } from 'commander';
import { CommandFailure, EXIT } from './exit.ts';
import { programFor } from './program.ts';

// Whoever reads along, `head` say, has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

try {
  const program = await programFor(process.argv[2]);
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else if (error instanceof CommandFailure) {
    if (error.message !== '') process.stderr.write(`coterie: ${error.message}\n`);
    process.exitCode = error.exitCode;
  } else throw error;
}

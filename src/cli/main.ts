#!/usr/bin/env node
/** The `coterie` command: runs nodes, and talks to them. */
import { Command, CommanderError } from 'commander';
import { addClusterCommand } from './cluster.ts';
import { addConfigCommand } from './config.ts';
import { addDataCommands } from './data.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { addInspectCommand } from './inspect.ts';
import { addMembershipCommands } from './membership.ts';
import { addRepairCommand } from './repair.ts';
import { addShellCommand } from './shell.ts';
import { addSimulateCommand } from './simulate.ts';
import { addStartCommand } from './start.ts';
import { addStatusCommand } from './status.ts';
import { addTokenCommand } from './token.ts';
import { addTransfersCommand } from './transfers.ts';

const program = new Command('coterie')
  .description('An always-writable, replicated key-value store (Dynamo, in Node.js).')
  .exitOverride()
  .showHelpAfterError()
  .configureHelp({ showGlobalOptions: true });

for (const add of [
  addStartCommand,
  addClusterCommand,
  addDataCommands,
  addShellCommand,
  addStatusCommand,
  addMembershipCommands,
  addTransfersCommand,
  addRepairCommand,
  addConfigCommand,
  addTokenCommand,
  addSimulateCommand,
  addInspectCommand,
]) {
  add(program);
}
for (const command of program.commands) command.exitOverride();

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else if (error instanceof CommandFailure) {
    if (error.message !== '') process.stderr.write(`coterie: ${error.message}\n`);
    process.exitCode = error.exitCode;
  } else throw error;
}

/** Every command of `coterie`, ready to be run or looked at. */
import { Command } from 'commander';
import { addBackupCommand } from './backup.ts';
import { addClusterCommand } from './cluster.ts';
import { addCompletionCommand } from './completion.ts';
import { addConfigCommand } from './config.ts';
import { addDataCommands } from './data.ts';
import { addRepairCommand } from './repair.ts';
import { addExplainCommands } from './explain.ts';
import { addFaultCommand } from './fault.ts';
import { addInspectCommand } from './inspect.ts';
import { addMembershipCommands } from './membership.ts';
import { addRestoreCommand } from './restore.ts';
import { addRingCommand } from './ring.ts';
import { addShellCommand } from './shell.ts';
import { addSimulateCommand } from './simulate.ts';
import { addStartCommand } from './start.ts';
import { addStatusCommand } from './status.ts';
import { addStoryCommand } from './story.ts';
import { addTokenCommand } from './token.ts';
import { addTransfersCommand } from './transfers.ts';
import { addVerifyCommands } from './verify.ts';

export const program = new Command('coterie')
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
  addRingCommand,
  addExplainCommands,
  addStoryCommand,
  addBackupCommand,
  addRestoreCommand,
  addVerifyCommands,
  addConfigCommand,
  addTokenCommand,
  addFaultCommand,
  addSimulateCommand,
  addInspectCommand,
  addCompletionCommand,
]) {
  add(program);
}
const everywhere = (command: Command): void => {
  command.exitOverride();
  for (const each of command.commands) everywhere(each);
};
everywhere(program);

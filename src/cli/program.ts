/** Every command of `coterie`, and where it lives: the one that is run is loaded alone. */
import { Command } from 'commander';

type Home = {
  readonly names: readonly string[];
  /** Loads the file and answers what adds its commands. */
  readonly load: () => Promise<(program: Command) => void>;
};

/** In the order of the help. A client needs no node: to load all of them takes three times as long. */
const HOMES: readonly Home[] = [
  { names: ['start'], load: async () => (await import('./start.ts')).addStartCommand },
  { names: ['cluster'], load: async () => (await import('./cluster.ts')).addClusterCommand },
  {
    names: ['get', 'put', 'delete', 'scan'],
    load: async () => (await import('./data.ts')).addDataCommands,
  },
  { names: ['shell'], load: async () => (await import('./shell.ts')).addShellCommand },
  { names: ['status'], load: async () => (await import('./status.ts')).addStatusCommand },
  {
    names: ['plan', 'node'],
    load: async () => (await import('./membership.ts')).addMembershipCommands,
  },
  { names: ['transfers'], load: async () => (await import('./transfers.ts')).addTransfersCommand },
  { names: ['repair'], load: async () => (await import('./repair.ts')).addRepairCommand },
  { names: ['ring'], load: async () => (await import('./ring.ts')).addRingCommand },
  {
    names: ['hints', 'top-keys', 'explain'],
    load: async () => (await import('./explain.ts')).addExplainCommands,
  },
  { names: ['story'], load: async () => (await import('./story.ts')).addStoryCommand },
  { names: ['backup'], load: async () => (await import('./backup.ts')).addBackupCommand },
  { names: ['restore'], load: async () => (await import('./restore.ts')).addRestoreCommand },
  {
    names: ['verify', 'compact'],
    load: async () => (await import('./verify.ts')).addVerifyCommands,
  },
  { names: ['config'], load: async () => (await import('./config.ts')).addConfigCommand },
  { names: ['token', 'secret'], load: async () => (await import('./token.ts')).addTokenCommand },
  { names: ['fault'], load: async () => (await import('./fault.ts')).addFaultCommand },
  { names: ['simulate'], load: async () => (await import('./simulate.ts')).addSimulateCommand },
  { names: ['inspect'], load: async () => (await import('./inspect.ts')).addInspectCommand },
];

/** The program with the commands that live where `name` does; with every one if that is no command. */
export const programFor = async (name?: string): Promise<Command> => {
  const home = HOMES.find(({ names }) => name !== undefined && names.includes(name));
  const program = new Command('coterie')
    .description('An always-writable, replicated key-value store (Dynamo, in Node.js).')
    .exitOverride()
    .showHelpAfterError()
    .configureHelp({ showGlobalOptions: true });
  for (const { load } of home === undefined ? HOMES : [home]) (await load())(program);
  if (home === undefined) {
    // It completes all the others, so it wants to see them.
    const { addCompletionCommand } = await import('./completion.ts');
    addCompletionCommand(program);
  }
  everywhere(program);
  return program;
};

const everywhere = (command: Command): void => {
  command.exitOverride();
  for (const each of command.commands) everywhere(each);
};

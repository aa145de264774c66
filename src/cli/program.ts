/** The command line: which commands there are, and how errors end. */
import { Command, CommanderError } from 'commander';
import type { CliContext } from './context.js';
import { exitCodeOf, exitCodes } from './exit-codes.js';
import { formatError, printLine } from './output.js';
import { MOUNT_PROCESS, MountFailedError } from './spawn-mount.js';
import { commandNamed, helpTopic, usageErrorOf } from './usage-errors.js';
import { readVersion } from './version.js';

/** Commands that are defined together, in the order of `--help`. */
interface CommandGroup {
  names: readonly string[];
  load: () => Promise<(program: Command, context: CliContext) => void>;
}

/** Loading all that all of them need takes ten times as long as what most of them do. */
const COMMANDS: readonly CommandGroup[] = [
  {
    names: ['create'],
    load: async () => (await import('./commands/create.js')).addCreateCommand,
  },
  {
    names: ['mount'],
    load: async () => (await import('./commands/mount.js')).addMountCommand,
  },
  {
    names: ['unmount'],
    load: async () => (await import('./commands/unmount.js')).addUnmountCommand,
  },
  {
    names: ['share'],
    load: async () => (await import('./commands/share.js')).addShareCommand,
  },
  {
    names: ['list'],
    load: async () => (await import('./commands/list.js')).addListCommand,
  },
  {
    names: ['status'],
    load: async () => (await import('./commands/status.js')).addStatusCommand,
  },
  {
    names: ['snapshot', 'snapshots'],
    load: async () => (await import('./commands/snapshot.js')).addSnapshotCommands,
  },
  {
    names: ['log', 'diff', 'restore'],
    load: async () => (await import('./commands/history.js')).addHistoryCommands,
  },
  {
    names: ['ls'],
    load: async () => (await import('./commands/ls.js')).addLsCommand,
  },
  {
    names: ['du'],
    load: async () => (await import('./commands/du.js')).addDuCommand,
  },
  {
    names: ['rm'],
    load: async () => (await import('./commands/rm.js')).addRmCommand,
  },
  {
    names: ['check'],
    load: async () => (await import('./commands/check.js')).addCheckCommand,
  },
  {
    names: ['pin', 'unpin', 'pins'],
    load: async () => (await import('./commands/pin.js')).addPinCommands,
  },
  {
    names: ['retention'],
    load: async () => (await import('./commands/retention.js')).addRetentionCommand,
  },
  {
    names: ['collect'],
    load: async () => (await import('./commands/collect.js')).addCollectCommand,
  },
  {
    names: ['hosts'],
    load: async () => (await import('./commands/hosts.js')).addHostsCommand,
  },
  {
    names: ['protect'],
    load: async () => (await import('./commands/protect.js')).addProtectCommand,
  },
  {
    names: ['sync'],
    load: async () => (await import('./commands/sync.js')).addSyncCommand,
  },
  {
    names: ['health'],
    load: async () => (await import('./commands/health.js')).addHealthCommand,
  },
  {
    names: ['host'],
    load: async () => (await import('./commands/host.js')).addHostCommands,
  },
  {
    names: ['bootstrap'],
    load: async () => (await import('./commands/bootstrap.js')).addBootstrapCommand,
  },
];

/** Runs one command and returns its exit code. Never throws. */
export async function runCommand(parameters: string[], context: CliContext): Promise<number> {
  try {
    await parseAndRun(parameters, context);
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
    printLine(context.stderr, formatError(error));
    if (context.environment.SHOAL_DEBUG === '1' && error instanceof Error) {
      printLine(context.stderr, error.stack ?? '');
    }
    return error instanceof MountFailedError ? error.exitCode : exitCodeOf(error);
  }
}

async function parseAndRun(parameters: string[], context: CliContext): Promise<void> {
  const topic = helpTopic(parameters) ?? (parameters.length === 0 ? [] : null);
  const program = await buildProgram(topic ?? parameters, context);
  if (topic !== null) {
    commandNamed(program, topic).outputHelp();
    return;
  }
  try {
    await program.parseAsync(parameters, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError) || error.exitCode === 0) throw error;
    throw usageErrorOf(error, program, parameters);
  }
}

async function buildProgram(parameters: readonly string[], context: CliContext): Promise<Command> {
  const program = new Command('shoal')
    .description('A file system on a swarm: mount a drive, share it with a key')
    .version(readVersion(), '--version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      // Errors are printed in one place, below the command.
      writeErr: () => undefined,
    })
    .helpCommand('help [command...]', 'show the options of a command');
  const needsNoCommand = parameters[0] === MOUNT_PROCESS || parameters[0] === '--version';
  const { names = [] } = COMMANDS.find((group) => group.names.includes(parameters[0] ?? '')) ?? {};
  for (const group of COMMANDS) {
    // With another one, `--help` or a misspelling, all are shown.
    if (needsNoCommand || (names.length > 0 && group.names !== names)) continue;
    (await group.load())(program, context);
  }
  addMountProcessCommand(program);
  return program;
}

function addMountProcessCommand(program: Command): void {
  program.command(MOUNT_PROCESS, { hidden: true }).action(async () => {
    const { runMountProcess } = await import('./mount-process.js');
    await runMountProcess();
  });
}

/** The command line: which commands there are, and how errors end. */
import { Command, CommanderError } from 'commander';
import { UsageError } from '../errors.js';
import type { CliContext } from './context.js';
import { exitCodeOf, exitCodes } from './exit-codes.js';
import { formatError, printLine } from './output.js';
import { MOUNT_PROCESS, MountFailedError } from './spawn-mount.js';
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
    const program = await buildProgram(parameters, context);
    await program.parseAsync(parameters, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
    const shown = error instanceof CommanderError ? usageError(error) : error;
    printLine(context.stderr, formatError(shown));
    if (context.environment.SHOAL_DEBUG === '1' && shown instanceof Error) {
      printLine(context.stderr, shown.stack ?? '');
    }
    return shown instanceof MountFailedError ? shown.exitCode : exitCodeOf(shown);
  }
}

async function buildProgram(parameters: readonly string[], context: CliContext): Promise<Command> {
  const program = new Command('shoal')
    .description('A file system on a swarm: mount a drive, share it with a key')
    .version(readVersion(), '--version')
    .exitOverride()
    .showSuggestionAfterError(false)
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      // Errors are printed in one place, below the command.
      writeErr: () => undefined,
    })
    .action((_options, command: Command) => {
      const [unknown] = command.args;
      if (unknown !== undefined) {
        throw new UsageError(`Unknown command '${unknown}'; 'shoal --help' shows all`);
      }
      program.outputHelp();
    });
  const needsNoCommand = parameters[0] === MOUNT_PROCESS || parameters[0] === '--version';
  const { names = [] } = COMMANDS.find((group) => group.names.includes(parameters[0] ?? '')) ?? {};
  for (const group of COMMANDS) {
    // With another one, `--help` or a misspelling, all are shown.
    if (needsNoCommand || (names.length > 0 && group.names !== names)) continue;
    (await group.load())(program, context);
  }
  addMountProcessCommand(program);
  // Only now, so that the commands do not inherit it: an unknown command arrives as an argument.
  program.allowExcessArguments(true);
  return program;
}

function addMountProcessCommand(program: Command): void {
  program.command(MOUNT_PROCESS, { hidden: true }).action(async () => {
    const { runMountProcess } = await import('./mount-process.js');
    await runMountProcess();
  });
}

/** "error: unknown option '--x'" in our form. */
function usageError(error: CommanderError): UsageError {
  const text = error.message.replace(/^error: /, '').replace(/\.$/, '');
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return new UsageError(`${sentence}; 'shoal --help' shows what there is`, { cause: error });
}

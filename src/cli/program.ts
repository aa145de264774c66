/** The command line: which commands there are, and how errors end. */
import { Command, CommanderError } from 'commander';
import { UsageError } from '../errors.js';
import { addBootstrapCommand } from './commands/bootstrap.js';
import { addCheckCommand } from './commands/check.js';
import { addCollectCommand } from './commands/collect.js';
import { addCreateCommand } from './commands/create.js';
import { addDuCommand } from './commands/du.js';
import { addHealthCommand } from './commands/health.js';
import { addHistoryCommands } from './commands/history.js';
import { addHostCommands } from './commands/host.js';
import { addHostsCommand } from './commands/hosts.js';
import { addListCommand } from './commands/list.js';
import { addLsCommand } from './commands/ls.js';
import { addMountCommand } from './commands/mount.js';
import { addPinCommands } from './commands/pin.js';
import { addProtectCommand } from './commands/protect.js';
import { addRetentionCommand } from './commands/retention.js';
import { addRmCommand } from './commands/rm.js';
import { addShareCommand } from './commands/share.js';
import { addSnapshotCommands } from './commands/snapshot.js';
import { addStatusCommand } from './commands/status.js';
import { addSyncCommand } from './commands/sync.js';
import { addUnmountCommand } from './commands/unmount.js';
import type { CliContext } from './context.js';
import { exitCodeOf, exitCodes } from './exit-codes.js';
import { formatError, printLine } from './output.js';
import { MountFailedError } from './spawn-mount.js';
import { readVersion } from './version.js';

/** Runs one command and returns its exit code. Never throws. */
export async function runCommand(parameters: string[], context: CliContext): Promise<number> {
  try {
    await buildProgram(context).parseAsync(parameters, { from: 'user' });
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

function buildProgram(context: CliContext): Command {
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
  addCreateCommand(program, context);
  addMountCommand(program, context);
  addUnmountCommand(program, context);
  addShareCommand(program, context);
  addListCommand(program, context);
  addStatusCommand(program, context);
  addSnapshotCommands(program, context);
  addHistoryCommands(program, context);
  addLsCommand(program, context);
  addDuCommand(program, context);
  addRmCommand(program, context);
  addCheckCommand(program, context);
  addPinCommands(program, context);
  addRetentionCommand(program, context);
  addCollectCommand(program, context);
  addHostsCommand(program, context);
  addProtectCommand(program, context);
  addSyncCommand(program, context);
  addHealthCommand(program, context);
  addHostCommands(program, context);
  addBootstrapCommand(program, context);
  addMountProcessCommand(program);
  // Only now, so that the commands do not inherit it: an unknown command arrives as an argument.
  program.allowExcessArguments(true);
  return program;
}

function addMountProcessCommand(program: Command): void {
  program.command('mount-process', { hidden: true }).action(async () => {
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

import type { Command } from 'commander';
import { type CliContext, homeOf, printReport } from '../context.js';
import { findMount, nameProcesses, unmountFound } from '../find-mount.js';

export function addUnmountCommand(program: Command, context: CliContext): void {
  program
    .command('unmount')
    .description('commit, unmount and end the process')
    .argument('<dir|name>', 'where it is mounted, or its name')
    .option(
      '--force',
      'detach it even while it is in use, and even if the last changes cannot be committed',
    )
    .option('--json', 'print JSON')
    .action(async (what: string, options: { force?: boolean; json?: boolean }) => {
      const found = await findMount(homeOf(context), what);
      // This command must not be among those that hold the directory.
      process.chdir('/');
      const force = options.force === true;
      const { cutOff, committed } = await unmountFound(found, force);
      const parts = [`unmounted ${found.name ?? found.directory}`];
      if (cutOff.length > 0) parts.push(`cut off: ${nameProcesses(cutOff)}`);
      if (force && committed) parts.push('all that it was given is committed');
      const { name, directory } = found;
      printReport(context, options.json, { name, directory, cutOff, committed }, parts.join('; '));
    });
}

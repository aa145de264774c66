import type { Command } from 'commander';
import { type CliContext, homeOf, printReport } from '../context.js';
import { findMount, unmountFound } from '../find-mount.js';

export function addUnmountCommand(program: Command, context: CliContext): void {
  program
    .command('unmount')
    .description('commit, unmount and end the process')
    .argument('<dir|name>', 'where it is mounted, or its name')
    .option('--force', 'detach it even while it is in use')
    .option('--json', 'print JSON')
    .action(async (what: string, options: { force?: boolean; json?: boolean }) => {
      const found = await findMount(homeOf(context), what);
      // This command must not be among those that hold the directory.
      process.chdir('/');
      await unmountFound(found, options.force === true);
      const text = `unmounted ${found.name ?? found.directory}`;
      printReport(context, options.json, { name: found.name, directory: found.directory }, text);
    });
}

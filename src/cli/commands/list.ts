import type { Command } from 'commander';
import { type CliContext, homeOf, printReport } from '../context.js';
import { type DriveSummary, summarize } from '../drive-report.js';
import { formatTable } from '../output.js';

export function addListCommand(program: Command, context: CliContext): void {
  program
    .command('list')
    .description('show the drives of this machine')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      const home = homeOf(context);
      const drives: DriveSummary[] = [];
      for (const name of await home.list()) drives.push(await summarize(home, name));
      printReport(context, options.json, drives, formatList(drives));
    });
}

function formatList(drives: readonly DriveSummary[]): string {
  if (drives.length === 0) return "no drives yet; make one with 'shoal create NAME'";
  const rows = drives.map((drive) => [drive.name, drive.key ?? '?', stateOf(drive)]);
  return formatTable([['NAME', 'KEY', 'STATE'], ...rows]);
}

function stateOf(drive: DriveSummary): string {
  if (drive.problem !== null) return drive.problem;
  if (drive.directory !== null) return `mounted at ${drive.directory} (pid ${drive.pid})`;
  return drive.pid === null ? 'not mounted' : `in use (pid ${drive.pid})`;
}

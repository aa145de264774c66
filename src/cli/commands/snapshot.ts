import type { Command } from 'commander';
import {
  checkLabel,
  formatTime,
  parseVersionName,
  type ShownSnapshot,
} from '../../drive/history-session.js';
import { UsageError } from '../../errors.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { askHistory } from '../history-client.js';
import { formatTable } from '../output.js';

interface SnapshotOptions {
  at?: string;
  delete?: string;
  json?: boolean;
}

export function addSnapshotCommands(program: Command, context: CliContext): void {
  program
    .command('snapshot')
    .description('give the drive as it is now, or as it was, a label, which keeps it')
    .usage('[options] <name> <label>\n       shoal snapshot [options] <name> --delete <label>')
    .argument('<name>', 'a drive of this machine')
    .argument('[label]', 'letters, digits, dots, dashes, underscores')
    .option('--at <version>', 'label an older version (the newest): its number, a time or a label')
    .option('--delete <label>', 'take a label away')
    .option('--json', 'print JSON')
    .action(async (name: string, label: string | undefined, options: SnapshotOptions) => {
      if ((label === undefined) === (options.delete === undefined)) {
        throw new UsageError('Cannot tell what to do: give a label, or --delete with one');
      }
      if (label === undefined && options.at !== undefined) {
        throw new UsageError('Cannot tell what to do: --at goes with a new label');
      }
      if (options.at !== undefined) parseVersionName(options.at);
      const method = label === undefined ? 'deleteSnapshot' : 'snapshot';
      const which = label ?? options.delete ?? '';
      if (label !== undefined) checkLabel(label);
      const snapshot = (await askHistory(homeOf(context), name, true, (call) =>
        call(method, { label: which, at: options.at }),
      )) as ShownSnapshot;
      const done = label === undefined ? 'deleted snapshot' : 'snapshot';
      const text = `${done} ${snapshot.label} of ${name}: version ${snapshot.version}`;
      printReport(context, options.json, snapshot, text);
    });
  program
    .command('snapshots')
    .description('list the snapshots of a drive')
    .argument('<name>', 'a drive of this machine')
    .option('--json', 'print JSON')
    .action(async (name: string, options: { json?: boolean }) => {
      const snapshots = (await askHistory(homeOf(context), name, false, (call) =>
        call('snapshots', {}),
      )) as ShownSnapshot[];
      const rows = snapshots.map(({ label, version, timeMs }) => [
        label,
        String(version),
        formatTime(timeMs),
      ]);
      const text =
        rows.length === 0 ? 'no snapshots' : formatTable([['LABEL', 'VERSION', 'TIME'], ...rows]);
      printReport(context, options.json, snapshots, text);
    });
}

import { type Command, InvalidArgumentError, Option } from 'commander';
import { callControl } from '../../control/client.js';
import type { Home } from '../../drive/home.js';
import { LogFile } from '../../drive/log-file.js';
import { withFileSystem } from '../../drive/open-file-system.js';
import { runningHolder } from '../../drive/store-lock.js';
import { reportUsage, type UsageReport } from '../../drive/usage-report.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { interruptible } from '../interruptible.js';
import { formatBytes, formatTable } from '../output.js';
import { printablePath } from '../printable-name.js';

/** A large drive takes long. */
const USAGE_MS_MAX = 24 * 3600 * 1000;

interface DuOptions {
  depth: number;
  json?: boolean;
}

export function addDuCommand(program: Command, context: CliContext): void {
  program
    .command('du')
    .description('show where the space of a drive goes')
    .argument('<name>', 'a drive of this machine')
    .argument('[path]', 'a directory or file in the drive', '/')
    .addOption(
      new Option('--depth <levels>', 'levels of directories to list')
        .argParser(parseDepth)
        .default(1),
    )
    .option('--json', 'print JSON')
    .action(async (name: string, path: string, { depth, json }: DuOptions) => {
      const home = homeOf(context);
      await home.read(name);
      const holder = runningHolder(home.paths(name).lock);
      const report =
        holder?.socket != null
          ? ((await callControl(
              holder.socket,
              'usage',
              { path, depth },
              USAGE_MS_MAX,
            )) as UsageReport)
          : await measureHere(home, name, path, depth);
      printReport(context, json, report, formatUsage(report));
    });
}

function parseDepth(text: string): number {
  if (!/^[0-9]{1,3}$/.test(text)) throw new InvalidArgumentError('It must be a number of levels.');
  return Number(text);
}

async function measureHere(
  home: Home,
  name: string,
  path: string,
  depth: number,
): Promise<UsageReport> {
  const { write: log } = new LogFile(home.paths(name).log);
  return await interruptible(async (signal) => {
    const options = { command: 'du', readOnly: true, log };
    return await withFileSystem(home, name, options, ({ drive }) =>
      reportUsage(drive, { path, depth, signal }),
    );
  });
}

function formatUsage(report: UsageReport): string {
  const { rows, chunkLog, history, sampledOneOf } = report;
  const table = formatTable([
    ['size', 'stored', 'shared', 'files', 'path'],
    ...rows.map((row) => [
      formatBytes(row.logicalBytes),
      formatBytes(row.storedBytes),
      `${formatBytes(row.sharedBytes)} (${percent(row.sharedBytes, row.storedBytes)})`,
      String(row.files),
      printablePath(row.path),
    ]),
  ]);
  const whole = rows[0];
  const lines = [table, ''];
  if (report.rowsLeftOut > 0) lines.push(`and ${report.rowsLeftOut} smaller directories`, '');
  if (whole !== undefined) {
    const saved = Math.max(0, whole.referencedBytes - whole.storedBytes);
    lines.push(
      `deduplication saves ${formatBytes(saved)} (${percent(saved, whole.referencedBytes)} of the content)`,
    );
  }
  lines.push(
    `chunk log on this machine ${formatBytes(chunkLog.bytes)}; only older versions need ${formatBytes(history.bytes)} of it (${percent(history.bytes, chunkLog.bytes)}), ${history.blocks} of ${chunkLog.blocks} blocks`,
    `tree log ${formatBytes(report.treeLogBytes)}, all versions`,
  );
  if (sampledOneOf > 1) {
    lines.push(`stored and shared are estimates, from one of ${sampledOneOf} chunks`);
  }
  if (report.damaged > 0) {
    lines.push(`${report.damaged} records cannot be read; 'shoal check ${report.name}' says more`);
  }
  return lines.join('\n');
}

function percent(part: number, whole: number): string {
  return `${whole === 0 ? 0 : Math.round((100 * part) / whole)} %`;
}

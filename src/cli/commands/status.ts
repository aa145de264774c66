import type { Command } from 'commander';
import { type CliContext, homeOf, printReport } from '../context.js';
import { type DriveReport, reportOn } from '../drive-report.js';
import { countOf, formatBytes, formatTable } from '../output.js';
import { describeProtection } from '../protection-words.js';
import { formatPin } from './pin.js';

export function addStatusCommand(program: Command, context: CliContext): void {
  program
    .command('status')
    .description('show peers, traffic, data and version of drives')
    .argument('[name]', 'one drive; all without it')
    .option('--json', 'print JSON')
    .action(async (name: string | undefined, options: { json?: boolean }) => {
      const home = homeOf(context);
      if (name !== undefined) await home.read(name);
      const names = name === undefined ? await home.list() : [name];
      const reports: DriveReport[] = [];
      for (const each of names) reports.push(await reportOn(home, each));
      const text = reports.map(formatReport).join('\n\n');
      const value = name === undefined ? reports : reports[0];
      printReport(context, options.json, value, text === '' ? 'no drives yet' : text);
    });
}

function formatReport(report: DriveReport): string {
  const rows = [['drive', report.name]];
  rows.push(['key', report.key ?? '?']);
  if (report.problem !== null) rows.push(['problem', report.problem]);
  rows.push(['on disk', formatBytes(report.localBytes)]);
  if (report.mount === null) {
    rows.push(['mount', report.directory === null ? 'not mounted' : report.directory]);
  } else rows.push(...mountRows(report.mount));
  return formatTable(rows);
}

function mountRows(mount: NonNullable<DriveReport['mount']>): string[][] {
  const { fileSystem, cache } = mount;
  const network = mount.offline
    ? 'offline'
    : `${mount.peers} connected${mount.swarmReachable ? '' : ', swarm does not answer'}`;
  return [
    ['mount', `${mount.directory} (pid ${mount.pid}${mount.readOnly ? ', read-only' : ''})`],
    ['version', String(fileSystem.version)],
    ['files', `${countOf(fileSystem.inodes, 'inode')}, ${formatBytes(fileSystem.fileBytes)}`],
    ['not committed', formatBytes(fileSystem.dirtyBytes)],
    ...(cache === null
      ? []
      : [['cache', `${formatBytes(cache.bytes)} of ${formatBytes(cache.bytesMax)}`]]),
    ...mount.pins.map((pin) => ['pinned', formatPin(pin)]),
    ...(mount.protection === null ? [] : [['protected', describeProtection(mount.protection)]]),
    ['peers', network],
    ['received', formatBytes(mount.receivedBytes)],
    ['sent', formatBytes(mount.sentBytes)],
    ['memory', formatBytes(mount.residentBytes)],
  ];
}

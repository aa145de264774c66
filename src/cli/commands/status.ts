import type { Command } from 'commander';
import type { ProtectionFigures } from '../../drive/protection-control.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { type DriveReport, reportOn } from '../drive-report.js';
import { describeShortage, isShortOfHosts } from '../host-shortage.js';
import { formatBytes, formatTable } from '../output.js';
import { formatPin } from './pin.js';
import { schemeLine } from './protect.js';

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
    ['files', `${fileSystem.inodes} inodes, ${formatBytes(fileSystem.fileBytes)}`],
    ['not committed', formatBytes(fileSystem.dirtyBytes)],
    ...(cache === null
      ? []
      : [['cache', `${formatBytes(cache.bytes)} of ${formatBytes(cache.bytesMax)}`]]),
    ...mount.pins.map((pin) => ['pinned', formatPin(pin)]),
    ...(mount.protection === null ? [] : [['protected', protectedLine(mount.protection)]]),
    ['peers', network],
    ['received', formatBytes(mount.receivedBytes)],
    ['sent', formatBytes(mount.sentBytes)],
    ['memory', formatBytes(mount.residentBytes)],
  ];
}

/** "up to version 7, 2 behind; 4 + 2 on 8 hosts". */
function protectedLine(protection: ProtectionFigures): string {
  const { version, protectedVersion, missedHosts, problem } = protection;
  const { activeHosts, reachableHosts } = protection;
  const behind = version - protectedVersion;
  const claim = isShortOfHosts(protection)
    ? `not as was asked for: ${describeShortage(protection)}`
    : `up to version ${protectedVersion}, ${behind} behind`;
  const away = activeHosts - reachableHosts;
  return [
    `${claim}; ${schemeLine(protection)}`,
    ...(missedHosts === 0 ? [] : [`, ${missedHosts} of them missed`]),
    // What these have is known from before.
    ...(away <= missedHosts ? [] : [`, ${away} of them not connected`]),
    ...(problem === null ? [] : [`; ${problem}`]),
  ].join('');
}

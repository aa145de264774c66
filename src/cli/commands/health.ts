import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { DriveHealth } from '../../drive/protection-control.js';
import {
  EnvironmentError,
  NoSpaceError,
  NotFoundError,
  type ShoalError,
  UsageError,
} from '../../errors.js';
import { describeHealth } from '../../hosts/health.js';
import { HEALTH_LEGEND, healthSvg, healthText } from '../../hosts/health-picture.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { formatInstant, formatTable, isTerminal } from '../output.js';
import { printablePath } from '../printable-name.js';
import { askProtection, hostsOnceMet } from '../protection-client.js';
import { shownId } from '../protection-words.js';

interface HealthOptions {
  svg?: string;
  bootstrap?: string;
  json?: boolean;
}

const WORST_SHOWN = 10;

export function addHealthCommand(program: Command, context: CliContext): void {
  program
    .command('health')
    .description('show how many losses of hosts a drive can take')
    .argument('<name>', 'a drive of this machine')
    .argument('[path]', 'a file or directory in the drive', '/')
    .option('--svg <file>', 'write a picture of all stripes')
    .option('--bootstrap <host:port,...>', 'nodes of a private network (or SHOAL_BOOTSTRAP)')
    .option('--json', 'print JSON')
    .action(async (name: string, path: string, options: HealthOptions) => {
      const asked = { command: 'health', bootstrap: options.bootstrap };
      const health = await askProtection(
        homeOf(context),
        name,
        context,
        asked,
        async (call, isThroughMount) => {
          if (!isThroughMount) await hostsOnceMet(call, false);
          return (await call('health', { path })) as DriveHealth;
        },
      );
      // First: where the picture cannot be written, it took no less to find out.
      printReport(context, options.json, health, formatHealth(health, isTerminal(context.stdout)));
      if (options.svg === undefined) return;
      const picture = healthSvg(health, `${name} ${path}: ${summary(health)[0]}`);
      await writeFile(options.svg, picture).catch((error: unknown) => {
        throw pictureError(options.svg as string, error);
      });
    });
}

/** Of a file that the user named: it has nothing to do with SHOAL_HOME. */
function pictureError(file: string, error: unknown): ShoalError {
  const { code, message } = error as NodeJS.ErrnoException;
  const text = `Cannot write '${file}'`;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new NotFoundError(`${text}: there is no such directory`, { cause: error });
  }
  if (code === 'EISDIR') return new UsageError(`${text}: it is a directory`, { cause: error });
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new NoSpaceError(`${text}: no space is left`, { cause: error });
  }
  return new EnvironmentError(`${text}: ${message}`, { cause: error });
}

function summary(health: DriveHealth): string[] {
  return describeHealth(health);
}

/** `withMap`: for somebody who sees it; a program has the figures of `--json`. */
export function formatHealth(health: DriveHealth, withMap: boolean): string {
  const lines = summary(health);
  for (const { id, label, lastSeenMs, isGone } of health.unchecked) {
    const seen = lastSeenMs === 0 ? 'never seen' : `last seen ${formatInstant(lastSeenMs)}`;
    const why = isGone ? ', not counted on: it was away for too long, or fails audits' : '';
    lines.push(`not checked: ${nameOf(id, label)}, ${seen}${why}`);
  }
  for (const { id, label } of health.leaving) {
    lines.push(`leaving: ${nameOf(id, label)}, which counts until others have what it has`);
  }
  if (health.lostFiles.length > 0) {
    lines.push('out of reach, wholly or in part:');
    for (const file of health.lostFiles) lines.push(`  ${printablePath(file)}`);
    if (health.isMoreLost) lines.push('  and more');
  } else if (health.isMoreLost) {
    lines.push('which files have a part in that was not found out in time; ask for a path below');
  }
  if (withMap && health.groups > 0) lines.push('', HEALTH_LEGEND, ...healthText(health));
  const bad = health.worst.filter(({ spare }) => spare < health.spareMax);
  if (bad.length > 0) {
    const rows = bad
      .slice(0, WORST_SHOWN)
      .map((group) => [
        `${group.from}-${group.to - 1}`,
        `${group.live} of ${group.of}`,
        String(group.hosts),
        String(group.needed),
        group.spare < 0 ? 'out of reach' : String(group.spare),
      ]);
    const head = ['BLOCKS', 'SHARDS LIVE', 'ON HOSTS', 'NEEDED', 'MAY FAIL'];
    lines.push('', formatTable([head, ...rows]));
    const all = health.bySpare.reduce(
      (sum, { spare, groups }) => sum + (spare < health.spareMax ? groups : 0),
      0,
    );
    if (all > rows.length) {
      lines.push(`and ${all - rows.length} more, no worse than these`);
    }
  }
  lines.push(`checked ${formatInstant(health.checkedMs)}, by what connected hosts say they have`);
  return lines.join('\n');
}

function nameOf(id: string, label: string): string {
  return label === '' ? shownId(id) : label;
}

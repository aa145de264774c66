import type { Command } from 'commander';
import { callControl } from '../../control/client.js';
import {
  DEFAULT_RETENTION,
  describeRetention,
  isDefaultRetention,
  type Retention,
  retentionOf,
  setRetention,
} from '../../drive/collect-drive.js';
import { LogFile } from '../../drive/log-file.js';
import { runningHolder } from '../../drive/store-lock.js';
import { UsageError } from '../../errors.js';
import { limits } from '../../limits.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { parseDuration } from '../options.js';

interface RetentionOptions {
  keepAll?: boolean;
  keep?: number;
  keepDaily?: number;
  keepSnapshots?: boolean;
  default?: boolean;
  json?: boolean;
}

export function addRetentionCommand(program: Command, context: CliContext): void {
  program
    .command('retention')
    .description('show or set how much of the past a drive keeps')
    .argument('<name>', 'a drive of this machine')
    .option('--keep-all', 'keep every version for ever')
    .option(
      '--keep <time>',
      'keep every version of this time (30d, 12h; 0: the newest only)',
      parseDuration,
    )
    .option(
      '--keep-daily <time>',
      'and before that one version a day, for this time',
      parseDuration,
    )
    .option('--keep-snapshots', 'keep labelled snapshots for ever')
    .option('--no-keep-snapshots', 'keep them no longer than other versions')
    .option(
      '--default',
      `what a drive keeps that was never told: ${describeRetention(DEFAULT_RETENTION)}`,
    )
    .option('--json', 'print JSON')
    .action(async (name: string, options: RetentionOptions) => {
      const home = homeOf(context);
      await home.read(name);
      const socket = runningHolder(home.paths(name).lock)?.socket ?? null;
      const { write: log } = new LogFile(home.paths(name).log);
      const ask = (method: string, params: Record<string, unknown>): Promise<unknown> =>
        callControl(socket as string, method, params, limits.control_answer_ms_max);
      let retention =
        socket === null
          ? await retentionOf(home, name, { log })
          : ((await ask('retention', {})) as Retention);
      const changed = changedRetention(retention, options);
      if (changed !== null) {
        if (socket === null) await setRetention(home, name, changed, { log });
        else await ask('setRetention', { ...changed });
        retention = changed;
      }
      const note = isDefaultRetention(retention) ? ' (the default)' : '';
      const text = `'${name}' keeps ${describeRetention(retention)}${note}`;
      printReport(context, options.json, { name, ...retention }, text);
    });
}

/** null when nothing is to be changed. Throws UsageError. */
function changedRetention(before: Retention, options: RetentionOptions): Retention | null {
  const { keepAll, keep, keepDaily, keepSnapshots } = options;
  const isTimed = keep !== undefined || keepDaily !== undefined;
  if (options.default === true) {
    if (keepAll === true || isTimed || keepSnapshots !== undefined) {
      throw new UsageError('Cannot use --default with other options');
    }
    return DEFAULT_RETENTION;
  }
  if (keepAll === true && isTimed) {
    throw new UsageError('Cannot use --keep-all with --keep or --keep-daily');
  }
  if (keepAll !== true && !isTimed && keepSnapshots === undefined) return null;
  const changed: Retention = { ...before, keepSnapshots: keepSnapshots ?? before.keepSnapshots };
  if (keepAll === true) changed.keepAll = true;
  if (isTimed) {
    changed.keepAll = false;
    changed.keepMs = keep ?? before.keepMs;
    changed.keepDailyMs = keepDaily ?? 0;
  }
  return changed;
}

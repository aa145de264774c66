import { type Command, InvalidArgumentError } from 'commander';
import type { ProtectionFigures } from '../../drive/protection-control.js';
import { UsageError } from '../../errors.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { parseDuration } from '../options.js';
import { askProtection } from '../protection-client.js';
import { describeSchemes } from '../protection-words.js';

interface ProtectOptions {
  data?: number;
  parity?: number;
  copies?: number;
  repairAfter?: number;
  bootstrap?: string;
  json?: boolean;
}

export function addProtectCommand(program: Command, context: CliContext): void {
  program
    .command('protect')
    .description('show or set how the hosts of a drive keep it safe')
    .argument('<name>', 'a drive of this machine')
    .option('--data <k>', 'data shards of a stripe (4 as long as it is not set)', parseCount)
    .option('--parity <m>', 'parity shards of a stripe (2): so many hosts may be lost', parseCount)
    .option('--copies <n>', 'instead, so many whole copies on different hosts', parseCount)
    .option(
      '--repair-after <time>',
      'replace a host that is missed for so long (24h)',
      parseDuration,
    )
    .option('--bootstrap <host:port,...>', 'nodes of a private network (or SHOAL_BOOTSTRAP)')
    .option('--json', 'print JSON')
    .action(async (name: string, options: ProtectOptions) => {
      const { data, parity, copies, repairAfter } = options;
      if (copies !== undefined && (data !== undefined || parity !== undefined)) {
        throw new UsageError('Cannot use --copies with --data and --parity: choose one');
      }
      if ((data === undefined) !== (parity === undefined)) {
        throw new UsageError('Cannot use --data or --parity alone: give both');
      }
      const asked = { command: 'protect', bootstrap: options.bootstrap };
      const isChange = [data, copies, repairAfter].some((each) => each !== undefined);
      const figures = (await askProtection(homeOf(context), name, context, asked, (call) =>
        isChange
          ? call('protect', { data, parity, copies, repairAfterMs: repairAfter })
          : call('protection'),
      )) as ProtectionFigures;
      printReport(context, options.json, figures, formatScheme(name, figures));
    });
}

function parseCount(text: string): number {
  if (!/^[0-9]{1,3}$/.test(text) || Number(text) < 1) {
    throw new InvalidArgumentError('It must be a number of hosts.');
  }
  return Number(text);
}

function formatScheme(name: string, figures: ProtectionFigures): string {
  const is = figures.activeHosts === 0 ? 'has' : 'is kept as';
  return `'${name}' ${is} ${describeSchemes(figures)}\nits id on hosts is ${figures.driveId}`;
}

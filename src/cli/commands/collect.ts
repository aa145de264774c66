import type { Command } from 'commander';
import { callControl } from '../../control/client.js';
import { describeClockJump } from '../../drive/clock-jump.js';
import { collectDrive } from '../../drive/collect-drive.js';
import type { CollectReport } from '../../drive/collector.js';
import { LogFile } from '../../drive/log-file.js';
import { runningHolder } from '../../drive/store-lock.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { formatBytes, printLine } from '../output.js';

/** A large drive takes long. */
const COLLECT_MS_MAX = 24 * 3600 * 1000;

export function addCollectCommand(program: Command, context: CliContext): void {
  program
    .command('collect')
    .description('free the space of versions that are not kept')
    .argument('<name>', 'a drive of this machine')
    .option('--dry-run', 'only say what would be freed')
    .option('--json', 'print JSON')
    .action(async (name: string, options: { dryRun?: boolean; json?: boolean }) => {
      const home = homeOf(context);
      await home.read(name);
      const dryRun = options.dryRun === true;
      const socket = runningHolder(home.paths(name).lock)?.socket ?? null;
      const { write: log } = new LogFile(home.paths(name).log);
      const report =
        socket !== null
          ? ((await callControl(socket, 'collect', { dryRun }, COLLECT_MS_MAX)) as CollectReport)
          : await collectDrive(home, name, { dryRun, log });
      printReport(context, options.json, report, formatCollect(name, report));
      if (report.clockJumpMs > 0) {
        const noticed = describeClockJump(report.clockJumpMs);
        printLine(
          context.stderr,
          `shoal: ${noticed}; where it is wrong, set it before you collect`,
        );
      }
    });
}

function formatCollect(name: string, report: CollectReport): string {
  const { dryRun, keptVersions, droppedVersions, treeBlocks, chunkBlocks, bytes } = report;
  // What is kept is the writer's to say.
  if (keptVersions === 0) return `'${name}': dropped what was collected, ${formatBytes(bytes)}`;
  const versions = `${droppedVersions} of ${keptVersions + droppedVersions} versions`;
  const blocks = `${treeBlocks} blocks of the tree, ${chunkBlocks} of the chunk log`;
  if (dryRun) return `'${name}': would drop ${versions} and free ${formatBytes(bytes)} (${blocks})`;
  return `'${name}': dropped ${versions} and freed ${formatBytes(bytes)} (${blocks})`;
}

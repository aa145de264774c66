import { type Command, Option } from 'commander';
import { callControl } from '../../control/client.js';
import type { CheckProgress } from '../../drive/check-logs.js';
import type { BlockFigures, CheckProblem, CheckReport } from '../../drive/check-report.js';
import type { Home } from '../../drive/home.js';
import { LogFile } from '../../drive/log-file.js';
import { type LockHolder, runningHolder } from '../../drive/store-lock.js';
import { BusyError, UsageError } from '../../errors.js';
import { limits } from '../../limits.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { interruptible } from '../interruptible.js';
import { bootstrapOf, parseDeadline } from '../options.js';
import { countOf, formatBytes } from '../output.js';
import { ProgressLine } from '../progress.js';

interface CheckCommandOptions {
  repair?: boolean;
  giveUp?: boolean;
  offline?: boolean;
  bootstrap?: string;
  deadline: number;
  json?: boolean;
}

/** A large drive takes long. */
const CHECK_MS_MAX = 24 * 3600 * 1000;
const PROGRESS_MS = 500;
const PROGRESS_ANSWER_MS_MAX = 10_000;

export function addCheckCommand(program: Command, context: CliContext): void {
  program
    .command('check')
    .description('verify a drive; says what is damaged')
    .argument('<name>', 'a drive of this machine')
    .option('--repair', 'fetch damaged data from peers, and mend the tree')
    .option('--give-up', 'with --repair: go on without what no peer has')
    .option('--offline', 'ask no peers')
    .option('--bootstrap <host:port,...>', 'nodes of a private network (or SHOAL_BOOTSTRAP)')
    .addOption(
      new Option('--deadline <seconds>', 'how long to look for peers')
        .argParser(parseDeadline)
        .default(limits.network_deadline_ms, String(limits.network_deadline_ms / 1000)),
    )
    .option('--json', 'print JSON')
    .action(async (name: string, options: CheckCommandOptions) => {
      const home = homeOf(context);
      if (options.giveUp === true && options.repair !== true) {
        throw new UsageError('Cannot use --give-up without --repair');
      }
      const bootstrap = bootstrapOf(options.bootstrap, context.environment);
      await home.read(name);
      const progress = new ProgressLine(context.stderr);
      const onProgress = ({ step, done, total }: CheckProgress): void => {
        progress.show(`${name}: ${step}`, done, total);
      };
      const holder = runningHolder(home.paths(name).lock);
      let report: CheckReport;
      try {
        if (holder?.socket != null) {
          refuseRepair(name, holder, options);
          report = await checkThroughMount(holder.socket, onProgress);
        } else report = await checkHere(home, name, { ...options, bootstrap }, onProgress);
      } finally {
        progress.clear();
      }
      printReport(context, options.json, report, formatCheck(report, options.repair === true));
      if (report.problemCount > 0) process.exitCode = exitCodes.damaged;
      else if (report.uncommitted !== null) process.exitCode = exitCodes.commitFailed;
    });
}

function refuseRepair(name: string, holder: LockHolder, options: CheckCommandOptions): void {
  if (options.repair !== true) return;
  throw new BusyError(
    `Cannot repair '${name}': it is mounted at ${holder.directory} by process ${holder.pid}; unmount it with 'shoal unmount ${name}', or check it without --repair`,
  );
}

async function checkHere(
  home: Home,
  name: string,
  options: Omit<CheckCommandOptions, 'bootstrap'> & {
    bootstrap: ReturnType<typeof bootstrapOf>;
  },
  onProgress: (progress: CheckProgress) => void,
): Promise<CheckReport> {
  const { write: log } = new LogFile(home.paths(name).log);
  return await interruptible(async (signal) => {
    // Loading it takes longer than asking a mount.
    const { checkDrive } = await import('../../drive/check-drive.js');
    const report = await checkDrive(home, name, {
      repair: options.repair === true,
      giveUp: options.giveUp === true,
      offline: options.offline === true,
      bootstrap: options.bootstrap,
      deadlineMs: options.deadline,
      log,
      onProgress,
      signal,
    });
    for (const line of report.repairs) log(`Repair: ${line}`);
    return report;
  });
}

async function checkThroughMount(
  socket: string,
  onProgress: (progress: CheckProgress) => void,
): Promise<CheckReport> {
  const timer = setInterval(() => {
    callControl(socket, 'checkProgress', {}, PROGRESS_ANSWER_MS_MAX).then(
      (progress) => progress !== null && onProgress(progress as CheckProgress),
      // The check itself says what is wrong.
      () => undefined,
    );
  }, PROGRESS_MS);
  try {
    const report = (await callControl(socket, 'check', {}, CHECK_MS_MAX)) as CheckReport;
    // A mount of before there was this answer counts it among the problems.
    return { ...report, uncommitted: report.uncommitted ?? null };
  } finally {
    clearInterval(timer);
  }
}

function formatCheck(report: CheckReport, isRepair: boolean): string {
  const lines = report.repairs.map((line) => `repaired: ${line}`);
  pushLeftOut(lines, report.repairCount - report.repairs.length, 'repairs');
  lines.push(...report.problems.map((problem) => `damaged: ${formatProblem(problem)}`));
  pushLeftOut(lines, report.problemCount - report.problems.length, 'problems');
  lines.push(
    `checked '${report.name}': ${countOf(report.inodes, 'inode')}, ${formatBytes(report.fileBytes)} in files, ${countOf(report.commits, 'commit')}`,
    `tree       ${formatBlocks(report.treeBlocks)}`,
    `chunk log  ${formatBlocks(report.chunkBlocks)}, ${formatBytes(report.chunkBytes)}`,
  );
  if (report.uncommitted !== null) {
    lines.push(`what was written last is not committed: ${report.uncommitted}`);
  }
  if (report.orphans > 0) {
    lines.push(`${report.orphans} deleted files are left, which the next mount removes`);
  }
  lines.push(verdict(report, isRepair));
  return lines.join('\n');
}

function pushLeftOut(lines: string[], count: number, what: string): void {
  if (count > 0) lines.push(`and ${count} more ${what}`);
}

function verdict(
  { name, problemCount, uncommitted, treeBlocks }: CheckReport,
  isRepair: boolean,
): string {
  if (problemCount === 0) return uncommitted === null ? 'no problems' : 'no other problems';
  const count = problemCount === 1 ? '1 problem' : `${problemCount} problems`;
  if (!isRepair) return `${count}; 'shoal check ${name} --repair' repairs what can be repaired`;
  const left = `${count} left; try again while a peer that has the drive is mounted`;
  if (treeBlocks.damaged === 0) return left;
  return `${left}, or go on without what is lost: 'shoal check ${name} --repair --give-up'`;
}

function formatProblem({ paths, ino, range, message }: CheckProblem): string {
  const where = paths.map((path) => `'${path}'`).join(', ');
  const what = where === '' && ino !== null ? `inode ${ino}` : where;
  const bytes = range === null ? '' : ` bytes ${range.start} to ${range.end - 1}`;
  return what === '' ? message : `${what}${bytes}: ${message}`;
}

function formatBlocks({ sound, damaged, notHere }: BlockFigures): string {
  const parts = [`${sound} blocks sound`];
  if (damaged > 0) parts.push(`${damaged} damaged`);
  if (notHere > 0) parts.push(`${notHere} not here`);
  return parts.join(', ');
}

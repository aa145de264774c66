import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type DiffPage,
  formatTime,
  type LoggedChange,
  type LoggedVersion,
  type LogPage,
  type PathDifference,
  parseVersionName,
  type Restored,
} from '../../drive/history-session.js';
import { limits } from '../../limits.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { askHistory, type HistoryCall } from '../history-client.js';
import { countOf, formatBytes, printLine } from '../output.js';
import { printablePath } from '../printable-name.js';

const LOG_VERSIONS = 20;

/** `shoal log`, `shoal diff` and `shoal restore`. */
export function addHistoryCommands(program: Command, context: CliContext): void {
  addLogCommand(program, context);
  addDiffCommand(program, context);
  addRestoreCommand(program, context);
}

function addLogCommand(program: Command, context: CliContext): void {
  program
    .command('log')
    .description('show what changed, newest first')
    .argument('<name>', 'a drive of this machine')
    .argument('[path]', 'only versions that changed this file')
    .addOption(
      new Option('--limit <n>', 'versions shown')
        .argParser((text) => parseCount(text, limits.log_versions_max))
        .default(LOG_VERSIONS),
    )
    .addOption(
      new Option('--before <version>', 'only versions before this one').argParser((text) =>
        parseCount(text, Number.MAX_SAFE_INTEGER),
      ),
    )
    .option('--json', 'print JSON')
    .action(
      async (
        name: string,
        path: string | undefined,
        options: { limit: number; before?: number; json?: boolean },
      ) => {
        const { limit, before = null } = options;
        const page = await askHistory(homeOf(context), name, false, (call) =>
          wholeLog(call, path ?? null, limit, before),
        );
        const lines = page.versions.map((each) => formatVersion(each, name));
        if (page.before !== null) lines.push(`older: --before ${page.before}`);
        if (lines.length === 0) lines.push('no versions');
        printReport(context, options.json, page, lines.join('\n'));
      },
    );
}

/** A mount answers with fewer versions when these would be too much for one answer. */
async function wholeLog(
  call: HistoryCall,
  path: string | null,
  limit: number,
  from: number | null,
): Promise<LogPage> {
  const versions: LoggedVersion[] = [];
  for (let before = from; ; ) {
    const page = (await call('log', {
      path,
      limit: limit - versions.length,
      before,
    })) as LogPage;
    for (const each of page.versions) versions.push(each);
    if (page.before === null || versions.length >= limit) return { versions, before: page.before };
    before = page.before;
  }
}

function formatVersion(logged: LoggedVersion, name: string): string {
  const { version, timeMs, writer, inodes, fileBytes, changes, more, notes, renamedFrom } = logged;
  const lines = [
    `version ${version}  ${formatTime(timeMs)}  writer ${writer}  ${countOf(inodes, 'inode')}, ${formatBytes(fileBytes)}`,
  ];
  if (changes === null) lines.push('    too many changes to list');
  for (const change of changes ?? []) lines.push(`    ${formatChange(change)}`);
  if (more > 0) lines.push(`    and ${more} more`);
  for (const note of notes) lines.push(`    ${note}`);
  if (renamedFrom !== null) {
    const path = printablePath(renamedFrom);
    lines.push(`    renamed from ${path}: shoal log ${name} ${path} --before ${version}`);
  }
  return lines.join('\n');
}

function formatChange({ kind, path, ino }: LoggedChange): string {
  const what = path === null ? `inode ${ino}, which has no name any more` : printablePath(path);
  return `${SIGNS[kind]} ${what}`;
}

const SIGNS = { added: '+', removed: '-', changed: 'M', renamed: 'R' } as const;

function addDiffCommand(program: Command, context: CliContext): void {
  program
    .command('diff')
    .description('show the paths that differ between two versions')
    .argument('<name>', 'a drive of this machine')
    .argument('<from>', 'a version, a time ("2026-11-20 14:00") or a snapshot')
    .argument('<to>', 'another one')
    .option('--json', 'print JSON')
    .action(async (name: string, from: string, to: string, options: { json?: boolean }) => {
      for (const each of [from, to]) parseVersionName(each);
      const differences: PathDifference[] = [];
      const last = await askHistory(homeOf(context), name, false, async (call) => {
        for (let offset = 0; ; ) {
          const page = (await call('diff', { from, to, offset })) as DiffPage;
          for (const each of page.differences) differences.push(each);
          if (page.next === null) return page;
          offset = page.next;
        }
      });
      if (last.isCut && options.json !== true) {
        printLine(
          context.stderr,
          `shoal: only the first ${limits.diff_paths_max} changes are compared`,
        );
      }
      const { from: first, to: second, isCut } = last;
      const value = { from: first, to: second, differences, isCut };
      printReport(context, options.json, value, differences.map(formatDifference).join('\n'));
    });
}

function formatDifference(difference: PathDifference): string {
  const path = printablePath(difference.path);
  const sign = SIGNS[difference.kind];
  return difference.kind === 'renamed'
    ? `${sign} ${path} -> ${printablePath(difference.to)}`
    : `${sign} ${path}`;
}

function addRestoreCommand(program: Command, context: CliContext): void {
  program
    .command('restore')
    .description('put a file or directory back as it was')
    .argument('<name>', 'a drive of this machine')
    .argument('<path>', 'path in the drive')
    .requiredOption('--at <version>', 'a version, a time or a snapshot (required)')
    .option('--to <path>', 'restore to another path of the drive (where it was)')
    .option('--force', 'replace what is there')
    .option('--json', 'print JSON')
    .action(
      async (
        name: string,
        path: string,
        options: { at: string; to?: string; force?: boolean; json?: boolean },
      ) => {
        const { at, to = null, force = false } = options;
        parseVersionName(at);
        const restored = (await askHistory(homeOf(context), name, true, (call) =>
          call('restore', { path, at, to, force }),
        )) as Restored;
        const { from, inodes, bytes } = restored;
        const text = `restored ${printablePath(restored.path)} from version ${from.version} of ${formatTime(from.timeMs)}: ${countOf(inodes, 'inode')}, ${formatBytes(bytes)}`;
        printReport(context, options.json, restored, text);
      },
    );
}

function parseCount(text: string, max: number): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > max) {
    throw new InvalidArgumentError(`It must be a number above 0, at most ${max}.`);
  }
  return count;
}

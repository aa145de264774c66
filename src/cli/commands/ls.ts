import type { Command } from 'commander';
import { callControl } from '../../control/client.js';
import { formatTime } from '../../drive/history-session.js';
import type { Home } from '../../drive/home.js';
import {
  type ListedDetails,
  type ListedEntry,
  type ListPage,
  type ListPosition,
  type ListProblem,
  listPage,
} from '../../drive/list-page.js';
import { LogFile } from '../../drive/log-file.js';
import { runningHolder } from '../../drive/store-lock.js';
import { DamagedError, type ShoalError, UnavailableError } from '../../errors.js';
import { limits } from '../../limits.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { interruptible } from '../interruptible.js';
import { formatTable, printLine } from '../output.js';
import { printableName, textOfBytes } from '../printable-name.js';

/** Of a page: a hash takes a look at all references of a file, and files may be very large. */
const PAGE_MS_MAX = 3600 * 1000;
const HASH_DIGITS_SHOWN = 16;
const S_IFMT = 0o170000;

interface LsOptions {
  long?: boolean;
  json?: boolean;
}

interface Listing {
  version: number;
  entries: ListedEntry[];
  /** There are more names than are listed. */
  isCut: boolean;
  problem: ListProblem | null;
}

type AskPage = (next: ListPosition | null) => Promise<ListPage>;

export function addLsCommand(program: Command, context: CliContext): void {
  program
    .command('ls')
    .description('list a directory of a drive, and how much of its files is on this machine')
    .argument('<name>', 'a drive of this machine')
    .argument('[path]', 'a path within the drive', '/')
    .option('-l, --long', 'say of each name what it is, and what is here of it')
    .option('--json', 'print JSON')
    .action(async (name: string, path: string, { long, json }: LsOptions) => {
      const home = homeOf(context);
      await home.read(name);
      const details = long === true;
      const socket = runningHolder(home.paths(name).lock)?.socket ?? null;
      const listing =
        socket === null
          ? await listHere(home, name, path, details)
          : await readPages(
              async (next) =>
                (await callControl(
                  socket,
                  'list',
                  { path, details, next },
                  PAGE_MS_MAX,
                )) as ListPage,
            );
      const { version, entries, isCut, problem } = listing;
      const value = { name, path, version, entries: entries.map(jsonEntry), isCut, problem };
      const text = details ? formatLong(name, path, listing) : entries.map(shownName).join('\n');
      printReport(context, json, value, text);
      if (isCut) printLine(context.stderr, `shoal: only the first ${entries.length} names`);
      if (problem !== null) throw errorOf(path, problem);
    });
}

function errorOf(path: string, { isDamaged, text }: ListProblem): ShoalError {
  const ErrorType = isDamaged ? DamagedError : UnavailableError;
  return new ErrorType(`Cannot list all of '${path}': ${text}`);
}

async function readPages(ask: AskPage): Promise<Listing> {
  const entries: ListedEntry[] = [];
  let problem: ListProblem | null = null;
  for (let next: ListPosition | null = null; ; ) {
    const page: ListPage = await ask(next);
    for (const entry of page.entries) entries.push(entry);
    problem = page.problem ?? problem;
    next = page.next;
    const isCut = next !== null && entries.length >= limits.listed_names_max;
    if (next === null || isCut) return { version: page.version, entries, isCut, problem };
  }
}

/** Nobody knows of peers then. */
async function listHere(
  home: Home,
  name: string,
  path: string,
  details: boolean,
): Promise<Listing> {
  const { write: log } = new LogFile(home.paths(name).log);
  return await interruptible(async (signal) => {
    const options = { command: 'ls', readOnly: true, log };
    // Loading it takes longer than asking a mount.
    const { withFileSystem } = await import('../../drive/open-file-system.js');
    const listing = await withFileSystem(home, name, options, ({ fileSystem }) =>
      readPages((next) => listPage(fileSystem, { path, details, next }, signal)),
    );
    return { ...listing, entries: listing.entries.map(withoutPeers) };
  });
}

function withoutPeers(entry: ListedEntry): ListedEntry {
  const { details } = entry;
  if (typeof details !== 'object') return entry;
  return { ...entry, details: { ...details, peers: null } };
}

/** For JSON: names and targets as text, and their bytes where they are no text. */
function jsonEntry({ name, type, details }: ListedEntry): Record<string, unknown> {
  const value = { ...textValue('name', name), type: typeName(type) };
  if (details === undefined) return value;
  if (typeof details === 'string') return { ...value, state: details };
  const { target, ...figures } = details;
  const link = target === null ? {} : textValue('target', target);
  return { ...value, state: 'known', ...figures, ...link };
}

function textValue(key: string, latin1: string): Record<string, string> {
  const bytes = Buffer.from(latin1, 'latin1');
  const text = textOfBytes(bytes);
  if (text !== null) return { [key]: text };
  return { [key]: bytes.toString('utf8'), [`${key}Hex`]: bytes.toString('hex') };
}

function shownName({ name }: ListedEntry): string {
  return printableName(Buffer.from(name, 'latin1'));
}

function formatLong(name: string, path: string, { version, entries }: Listing): string {
  const header = ['mode', 'size', 'modified', 'local', 'peers', 'hash', 'name'];
  const rows = entries.map((entry) => rowOf(entry));
  const title = `${name}, version ${version}: '${printableName(Buffer.from(path))}'`;
  return rows.length === 0 ? `${title} is empty` : `${title}\n${formatTable([header, ...rows])}`;
}

function rowOf(entry: ListedEntry): string[] {
  const { details, type } = entry;
  if (typeof details !== 'object') {
    const why = details === 'damaged' ? '(damaged)' : '(not here yet)';
    return [formatMode(type, null), '?', '?', '?', '?', '?', `${shownName(entry)} ${why}`];
  }
  const { mode, size, localBytes, hash, peers, target } = details;
  const link = target === null ? '' : ` -> ${printableName(Buffer.from(target, 'latin1'))}`;
  return [
    formatMode(mode & S_IFMT, mode),
    String(size),
    formatTime(mtimeMs(details)),
    localBytes === null ? '-' : `${localBytes}/${size}`,
    peers === null ? '-' : String(peers),
    hash === null ? '-' : hash.slice(0, HASH_DIGITS_SHOWN),
    shownName(entry) + link,
  ];
}

function mtimeMs({ mtimeSec, mtimeNsec }: ListedDetails): number {
  return mtimeSec * 1000 + Math.floor(mtimeNsec / 1e6);
}

const TYPES = new Map<number, [letter: string, name: string]>([
  [0o010000, ['p', 'fifo']],
  [0o020000, ['c', 'character device']],
  [0o040000, ['d', 'directory']],
  [0o060000, ['b', 'block device']],
  [0o100000, ['-', 'file']],
  [0o120000, ['l', 'symbolic link']],
  [0o140000, ['s', 'socket']],
]);

function typeName(type: number): string {
  return TYPES.get(type)?.[1] ?? 'unknown';
}

/** "drwxr-sr-x"; permissions that are not known are question marks. */
function formatMode(type: number, mode: number | null): string {
  const letter = TYPES.get(type)?.[0] ?? '?';
  if (mode === null) return `${letter}?????????`;
  const bits = [...'rwxrwxrwx'].map((bit, i) => ((mode >> (8 - i)) & 1 ? bit : '-'));
  const special = (bit: number, at: number, set: string): void => {
    if ((mode & bit) !== 0) bits[at] = bits[at] === 'x' ? set : set.toUpperCase();
  };
  special(0o4000, 2, 's');
  special(0o2000, 5, 's');
  special(0o1000, 8, 't');
  return letter + bits.join('');
}

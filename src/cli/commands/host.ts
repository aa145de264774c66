import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { callControl } from '../../control/client.js';
import {
  drivesToHandOver,
  type HostPaths,
  hostPaths,
  makeHostFolder,
  withHostBook,
} from '../../drive/host-files.js';
import { HostService, listsOf } from '../../drive/host-service.js';
import { LogFile } from '../../drive/log-file.js';
import { runningHolder } from '../../drive/store-lock.js';
import { typedSize } from '../../drive/typed-size.js';
import { LimitError, NotFoundError, UnavailableError } from '../../errors.js';
import { formatDriveId } from '../../hosts/host-book.js';
import type {
  HostAccountReport,
  HostedDriveReport,
  StorageHostReport,
} from '../../hosts/host-report.js';
import { formatInvite } from '../../hosts/invite.js';
import type { StorageHost } from '../../hosts/storage-host.js';
import { limits } from '../../limits.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { bootstrapOf, parseBytes, parseDuration } from '../options.js';
import { countOf, formatBytes, formatTable } from '../output.js';
import { ProgressLine } from '../progress.js';

interface StoreOption {
  store?: string;
  json?: boolean;
}

interface HostOptions extends StoreOption {
  capacity?: number;
  bootstrap?: string;
  repairRate?: number;
  verifyRate?: number;
  auditInterval?: number;
  reciprocal?: number;
}

/** What is kept of drives is deleted while the command waits. */
const CHANGE_MS_MAX = 600_000;
const LEAVE_LOOK_MS = 500;

export function addHostCommands(program: Command, context: CliContext): void {
  const host = program
    .command('host')
    .description("keep other people's drives, encrypted, on this machine; runs until it is ended")
    .option(
      '--capacity <bytes>',
      `disk that it may take, such as 50G, at least ${typedSize(limits.host_capacity_bytes_min)}; needed the first time`,
      parseBytes,
    )
    .option('--store <dir>', 'where it keeps them (SHOAL_HOME/host)')
    .option('--bootstrap <host:port,...>', 'nodes of a private network (or SHOAL_BOOTSTRAP)')
    .option('--repair-rate <bytes>', 'bytes a second for rebuilding what was lost (16M)', rate)
    .option('--verify-rate <bytes>', 'bytes a second for verifying what is stored (1M)', rate)
    .option('--audit-interval <time>', 'pause between two audits of other hosts (30s)', interval)
    .option(
      '--reciprocal <ratio>',
      'keep for owners of other hosts, and serve these, up to so many times what they give',
      ratio,
    )
    .option('--json', 'print JSON')
    // Else the library shows it only where a command does nothing by itself.
    .helpCommand(true)
    .action((options: HostOptions) => runHost(context, options));
  const add = (name: string, description: string): Command =>
    host
      .command(name)
      .description(description)
      .option('--store <dir>', 'the folder of the host (SHOAL_HOME/host)')
      .option('--json', 'print JSON');

  add('invite', 'print an invite, by which an owner lets this host keep a drive')
    .option('--new', 'one more, though another is not used yet')
    .action(async (_options: unknown, command: Command) => {
      const { paths, options } = storeOf<{ new?: boolean }>(context, command);
      const fresh = options.new === true;
      const { invite } = (await ask(paths, 'invite', { fresh }, async (book) => ({
        invite: formatInvite(await book.invite(fresh)),
      }))) as { invite: string };
      printReport(context, options.json, { invite }, invite);
    });

  add('allow', 'let a drive in without an invite')
    .argument('<drive>', 'its id', driveArgument)
    .action(async (drive: string, _options: unknown, command: Command) => {
      const { paths, options } = storeOf(context, command);
      await ask(paths, 'allow', { drive }, (book) => book.allow(book.find(drive)));
      printReport(context, options.json, { allowed: drive }, `allowed ${drive}`);
    });

  add('deny', 'delete what is kept of a drive, and keep it out')
    .argument('<drive>', 'its id, or the beginning of it', driveArgument)
    .action(async (drive: string, _options: unknown, command: Command) => {
      const { paths, options } = storeOf(context, command);
      await ask(paths, 'deny', { drive }, (book) => book.deny(book.find(drive)));
      printReport(context, options.json, { denied: drive }, `denied ${drive}`);
    });

  add('list', 'show the drives that are kept, allowed and denied').action(
    async (_options: unknown, command: Command) => {
      const { paths, options } = storeOf(context, command);
      const lists = (await ask(paths, 'lists', {}, async (book) => listsOf(book))) as ReturnType<
        typeof listsOf
      >;
      const drives = (await ask(paths, 'kept', {}, async (book) =>
        book.drives.map(({ keys }) => formatDriveId(keys.plan)),
      )) as string[];
      const rows = [
        ...drives.map((id) => ['kept', id]),
        ...lists.allowed.map((id) => ['allowed', id]),
        ...lists.denied.map((id) => ['denied', id]),
      ];
      const text = rows.length === 0 ? 'no drives yet' : formatTable(rows);
      printReport(context, options.json, { drives, ...lists }, text);
    },
  );

  add('leave', 'hand everything over to other hosts, delete it, and end the host')
    .option('--force', 'delete everything at once, though it may be the only copy')
    .option('--no-wait', 'do not wait for it')
    .action(async (_options: unknown, command: Command) => {
      const { paths, options } = storeOf<{ force?: boolean; wait: boolean }>(context, command);
      await askToLeave(paths, options.force === true);
      if (options.wait) await waitUntilLeft(context, paths);
      const text = options.wait ? 'left' : 'leaving';
      printReport(context, options.json, { [text]: true }, text);
    });

  add('status', 'show what the host keeps, and for whom').action(
    async (_options: unknown, command: Command) => {
      const { paths, options } = storeOf(context, command);
      const report = (await ask(paths, 'status', {}, null)) as StorageHostReport;
      printReport(context, options.json, report, formatStatus(report));
    },
  );
}

/** Throws NotFoundError when no host runs, unless it is one that has left: it ends by itself, maybe just now. */
async function askToLeave(paths: HostPaths, force: boolean): Promise<void> {
  try {
    await ask(paths, 'leave', { force }, null);
  } catch (error) {
    const isGone = error instanceof NotFoundError || error instanceof UnavailableError;
    if (!isGone || (await drivesToHandOver(paths)) !== 0) throw error;
  }
}

/**
 * Until the host has handed everything over and ended. Throws LimitError when it cannot hand over what it has,
 * UnavailableError when it ended before: what it has may be the only copy.
 */
async function waitUntilLeft(context: CliContext, paths: HostPaths): Promise<void> {
  const progress = new ProgressLine(context.stderr);
  try {
    for (let looksInVain = 0; ; ) {
      const holder = runningHolder(paths.lock);
      const drivesLeft = await drivesToHandOver(paths);
      if (drivesLeft === null || (drivesLeft === 0 && holder === null)) return;
      if (holder === null && ++looksInVain > 1) {
        throw new UnavailableError(
          `The host ended before it had handed over ${countOf(drivesLeft, 'drive')}, of which it may have the only copy; start it again with 'shoal host', and it goes on with that`,
        );
      }
      // Where one is started again, it is not there at once, and opens its store first.
      if (holder?.socket == null) {
        await sleep(LEAVE_LOOK_MS);
        continue;
      }
      looksInVain = 0;
      const drives = await handovers(holder.socket);
      for (const { id, handover } of drives) {
        if (handover.obstacle === null) continue;
        throw new LimitError(
          `Cannot hand over drive ${id.slice(0, 8)}: ${handover.obstacle}; its owner has to add a host or remove this one, or delete it here with --force. The host goes on meanwhile`,
        );
      }
      const blocks = drives.reduce((sum, { handover }) => sum + handover.missingBlocks, 0);
      progress.show(`handing over ${drives.length} drives, ${blocks} blocks missing`, 0, null);
      await sleep(LEAVE_LOOK_MS);
    }
  } finally {
    progress.clear();
  }
}

/** None when the host has ended meanwhile. */
async function handovers(socket: string): Promise<ReturnType<StorageHost['handovers']>> {
  try {
    return (await callControl(socket, 'handovers')) as ReturnType<StorageHost['handovers']>;
  } catch (error) {
    if (error instanceof NotFoundError || error instanceof UnavailableError) return [];
    throw error;
  }
}

async function runHost(context: CliContext, options: HostOptions): Promise<void> {
  const home = homeOf(context);
  const paths = hostPaths(home, options.store ?? null);
  await makeHostFolder(paths);
  const { write: log } = new LogFile(paths.log);
  const service = await HostService.start({
    home,
    paths,
    capacityBytes: options.capacity ?? null,
    bootstrap: bootstrapOf(options.bootstrap, context.environment),
    repairBytesPerSecond: options.repairRate,
    verifyBytesPerSecond: options.verifyRate,
    auditIntervalMs: options.auditInterval,
    reciprocalRatio: options.reciprocal,
    environment: context.environment,
    log,
  });
  logFaults(log, () => void service.stop(log));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      log(`${signal}: ending`);
      void service.stop(log);
    });
  }
  const { book } = service;
  const id = formatDriveId(book.id);
  const invite = formatInvite(await book.invite(false));
  const { capacityBytes } = book;
  log(`Host ${id} with ${capacityBytes} bytes (pid ${process.pid})`);
  const { isLeaving } = book;
  const last = isLeaving ? 'leaving: it ends once others have what it keeps' : `invite ${invite}`;
  const text = [`host ${id}`, `capacity ${formatBytes(capacityBytes)}`, last];
  const report = { id, capacityBytes, invite: isLeaving ? null : invite };
  printReport(context, options.json, report, text.join('\n'));
  await service.ended;
  log('Ended');
}

/**
 * A promise that nobody waits for, in a library that works in the background, must not take the host with it. After an
 * exception that nobody caught the program's state is unknown: end in order.
 */
function logFaults(log: (line: string) => void, end: () => void): void {
  const write = (kind: string, error: unknown): void =>
    log(`${kind}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.on('unhandledRejection', (error) => write('Unhandled rejection', error));
  process.on('uncaughtException', (error) => {
    write('Uncaught exception', error);
    process.exitCode = 1;
    end();
  });
}

/** Options of a subcommand; those that `host` has, too, are found at either. */
function storeOf<T>(
  context: CliContext,
  command: Command,
): { paths: HostPaths; options: T & StoreOption } {
  const options = command.optsWithGlobals() as T & StoreOption;
  return { paths: hostPaths(homeOf(context), options.store ?? null), options };
}

/** Asks the running host; one that does not run has its book changed. */
async function ask(
  paths: HostPaths,
  method: string,
  params: Record<string, unknown>,
  offline: Parameters<typeof withHostBook>[1] | null,
): Promise<unknown> {
  const socket = runningHolder(paths.lock)?.socket;
  if (socket != null) return callControl(socket, method, params, CHANGE_MS_MAX);
  if (offline !== null) return withHostBook(paths, offline);
  throw new NotFoundError(
    `No host runs in '${paths.directory}'; 'shoal host --capacity BYTES' starts one`,
  );
}

function rate(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === 0) throw new InvalidArgumentError('It must be more than 0.');
  return bytes;
}

function ratio(text: string): number {
  const value = /^[0-9]{1,6}(\.[0-9]{1,3})?$/.test(text) ? Number(text) : 0;
  if (value <= 0) throw new InvalidArgumentError('It must be a number above 0, such as 2.');
  return value;
}

function interval(text: string): number {
  const ms = parseDuration(text);
  if (ms < 1000) throw new InvalidArgumentError('It must be a second or more, such as 30s.');
  return ms;
}

function driveArgument(text: string): string {
  if (/^[a-z0-9]{4,52}$/.test(text)) return text;
  throw new InvalidArgumentError('It must be the id of a drive, or at least 4 characters of it.');
}

function formatStatus(report: StorageHostReport): string {
  const { swarm } = report;
  const rows = [
    ['host', report.id],
    ['capacity', formatCapacity(report)],
    ['peers', `${swarm.peers} connected${swarm.reachable ? '' : ', swarm does not answer'}`],
    ['received', formatBytes(swarm.receivedBytes)],
    ['sent', formatBytes(swarm.sentBytes)],
    ...report.drives.map((drive) => [`drive ${drive.id.slice(0, 8)}`, formatDrive(drive)]),
    ...report.accounts.map((account) => [`host ${account.id.slice(0, 8)}`, formatAccount(account)]),
  ];
  return formatTable(rows);
}

/** Used, reserved and free are all of it, where the disk has so much. */
export function formatCapacity(
  report: Pick<StorageHostReport, 'usedBytes' | 'capacityBytes' | 'reservedBytes' | 'freeBytes'>,
): string {
  const { usedBytes, capacityBytes, reservedBytes, freeBytes } = report;
  const used = `${formatBytes(usedBytes)} of ${formatBytes(capacityBytes)} used`;
  const reserved = `${formatBytes(reservedBytes)} reserved for the database's work`;
  const isDiskFull = freeBytes < capacityBytes - reservedBytes - usedBytes;
  const why = isDiskFull ? ', since the disk has no more' : '';
  return `${used}, ${reserved}, ${formatBytes(freeBytes)} free${why}`;
}

function formatAccount(account: HostAccountReport): string {
  const { keptForBytes, keptByBytes, givenBytes, takenBytes } = account;
  const kept = `${formatBytes(keptForBytes)} kept for its owner, ${formatBytes(keptByBytes)} kept there for this home`;
  return `${kept}; ${formatBytes(givenBytes)} sent to it, ${formatBytes(takenBytes)} received`;
}

function formatDrive({ storedBytes, servedBytes, state, peers }: HostedDriveReport): string {
  const parts = [`${formatBytes(storedBytes)} kept`, `${formatBytes(servedBytes)} served`];
  if (state === null) parts.push('waiting for its plan');
  else if (state.missingBlocks > 0) {
    parts.push(`${state.missingBlocks} blocks (${formatBytes(state.missingBytes)}) missing`);
  } else parts.push('complete');
  parts.push(`${peers} peer${peers === 1 ? '' : 's'}`);
  return parts.join(', ');
}

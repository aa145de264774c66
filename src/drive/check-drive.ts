/** Checks a drive that is not mounted, and repairs what can be repaired. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeAddress } from 'hyperdht';
import { ShoalError, UnavailableError } from '../errors.js';
import { mendTree } from '../fs/check/tree-mender.js';
import { DriveFileSystem } from '../fs/drive-file-system.js';
import { limits } from '../limits.js';
import { healNodes, missingNodes, removeBlock } from '../log/hash-tree.js';
import type { Swarm } from '../swarm/swarm.js';
import { TreeWalker } from '../tree/tree-walker.js';
import { aboutDrive, type CheckProgress, checkLogs, type LogsFindings } from './check-logs.js';
import type { CheckReport } from './check-report.js';
import { CheckSession } from './check-session.js';
import { superblockOf } from './create-drive.js';
import { type Drive, type MendableDrive, openDrive } from './drive.js';
import { fetchBlocks } from './fetch-blocks.js';
import type { Home } from './home.js';
import { rebuildStore } from './rebuild-store.js';
import { StoreLock } from './store-lock.js';

const PEER_LOOK_MS = 50;

export interface CheckDriveOptions {
  repair: boolean;
  /** Ask no peers. */
  offline: boolean;
  bootstrap?: NodeAddress[] | undefined;
  /** How long to look for peers. */
  deadlineMs: number;
  log: (line: string) => void;
  onProgress?: (progress: CheckProgress) => void;
  signal?: AbortSignal;
}

/** Throws NotFoundError, BusyError, CapabilityError, UnavailableError, DamagedError, StoreError. */
export async function checkDrive(
  home: Home,
  name: string,
  options: CheckDriveOptions,
): Promise<CheckReport> {
  let findings = await inSession(home, name, (session) => checkSession(session, options));
  if (!options.repair) return findings.report;
  const repairs = new Repairs();
  const isRebuilt = findings.isStoreDamaged && (await rebuild(home, name, repairs));
  const repaired = await inSession(home, name, async (session) => {
    let found = isRebuilt ? await checkSession(session, options) : findings;
    if (await healHashTrees(session, found, repairs)) found = await checkSession(session, options);
    const isChanged = await replaceBlocks(session, found, options, repairs);
    return {
      findings: isChanged ? await checkSession(session, options) : found,
      mayWrite: session.mayWrite && session.recordedLengths === null,
      isWhole: session.logs.isWhole,
    };
  });
  findings = repaired.findings;
  const { orphans } = findings.report;
  let failure: ShoalError | null = null;
  if (repaired.mayWrite && (findings.isMendable || orphans > 0)) {
    options.onProgress?.({ step: 'mending', done: 0, total: null });
    failure = await mendDrive(home, name, repaired.isWhole, options, repairs);
    findings = await inSession(home, name, (session) => checkSession(session, options));
    const gone = orphans - findings.report.orphans;
    if (gone > 0) repairs.add(`deleted ${gone} files that had been deleted while open`);
  }
  const { report } = findings;
  if (failure !== null) {
    report.problems.push(aboutDrive(`Cannot mend the tree: ${failure.message}`));
    report.problemCount++;
  }
  return { ...report, repairs: repairs.lines, repairCount: repairs.count };
}

/** Makes the database anew, which has a damaged file. */
async function rebuild(home: Home, name: string, repairs: Repairs): Promise<boolean> {
  const paths = home.paths(name);
  const lock = StoreLock.acquire(paths.lock, name, 'check');
  try {
    const { entries } = await rebuildStore(paths.store);
    repairs.add(`made the store anew of the ${entries} records in it that can be read`);
    return true;
  } finally {
    lock.release();
  }
}

async function healHashTrees(
  session: CheckSession,
  { lacksNodes }: LogsFindings,
  repairs: Repairs,
): Promise<boolean> {
  if (!lacksNodes) return false;
  let count = 0;
  for (const core of [session.logs.tree, session.logs.content]) {
    count += await healNodes(core, await missingNodes(core));
  }
  if (count > 0) repairs.add(`computed ${count} nodes of the logs' hash trees again`);
  return count > 0;
}

class Repairs {
  readonly lines: string[] = [];
  count = 0;

  add(line: string): void {
    this.count++;
    if (this.lines.length < limits.check_problems_max) this.lines.push(line);
  }
}

async function inSession<T>(
  home: Home,
  name: string,
  run: (session: CheckSession) => Promise<T>,
): Promise<T> {
  const session = await CheckSession.open(home, name);
  let result: T;
  try {
    result = await run(session);
  } catch (error) {
    await session.close().catch(() => undefined);
    throw error;
  }
  await session.close();
  return result;
}

async function checkSession(
  session: CheckSession,
  options: CheckDriveOptions,
): Promise<LogsFindings> {
  const findings = await checkLogs(session.logs, options);
  if (session.recordedLengths === null) return findings;
  const { report } = findings;
  const message = 'The store has lost its newest blocks: it is shorter than when it was closed';
  report.problems.push(aboutDrive(message));
  report.problemCount++;
  return findings;
}

/** Returns whether anything was changed. */
async function replaceBlocks(
  session: CheckSession,
  findings: LogsFindings,
  options: CheckDriveOptions,
  repairs: Repairs,
): Promise<boolean> {
  const isFetched = await fetchDamaged(session, findings, options, repairs);
  const left = isFetched ? await checkSession(session, options) : findings;
  return (await removeDamaged(session, left, repairs)) || isFetched;
}

/** Fetches from peers what is damaged. Returns whether anything came. */
async function fetchDamaged(
  session: CheckSession,
  { treeBlocks, chunkBlocks }: LogsFindings,
  options: CheckDriveOptions,
  repairs: Repairs,
): Promise<boolean> {
  const { recordedLengths, logs } = session;
  const total = treeBlocks.length + chunkBlocks.length;
  if (options.offline || (total === 0 && recordedLengths === null)) return false;
  options.onProgress?.({ step: 'looking for peers', done: 0, total: null });
  if (!(await hasPeer(session.connect(options.bootstrap, options.log), options))) return false;
  let isChanged = recordedLengths !== null && (await reachEnd(session, options, repairs));
  let done = 0;
  const onFetched = (): void => options.onProgress?.({ step: 'fetching', done: ++done, total });
  for (const [core, blocks, what] of [
    [logs.tree, treeBlocks, 'tree'],
    [logs.content, chunkBlocks, 'chunk log'],
  ] as const) {
    if (blocks.length === 0) continue;
    const numbers = blocks.map(({ block }) => block);
    const fetched = await fetchBlocks(core, numbers, { onFetched, signal: options.signal });
    isChanged ||= fetched.length > 0;
    for (const block of fetched.sort((a, b) => a - b)) {
      repairs.add(`fetched block ${block} of the ${what} again from a peer`);
    }
  }
  return isChanged;
}

/**
 * Takes damaged blocks out of the store: it would refuse all writes as soon as it comes to move one. A read of a block
 * that is not there asks peers. Returns whether there were any.
 */
async function removeDamaged(
  session: CheckSession,
  { treeBlocks, chunkBlocks }: LogsFindings,
  repairs: Repairs,
): Promise<boolean> {
  let isChanged = false;
  for (const [core, blocks, what] of [
    [session.logs.tree, treeBlocks, 'tree'],
    [session.logs.content, chunkBlocks, 'chunk log'],
  ] as const) {
    for (const { block } of blocks) {
      if (core.core?.bitfield.get(block) !== true) continue;
      await removeBlock(core, block);
      isChanged = true;
      repairs.add(`removed the damaged block ${block} of the ${what}`);
    }
  }
  return isChanged;
}

/** Waits until somebody is connected. */
async function hasPeer(swarm: Swarm, options: CheckDriveOptions): Promise<boolean> {
  const giveUpAt = performance.now() + options.deadlineMs;
  while (swarm.connections.size === 0) {
    options.signal?.throwIfAborted();
    if (performance.now() > giveUpAt) return false;
    await sleep(PEER_LOOK_MS);
  }
  return true;
}

async function reachEnd(
  session: CheckSession,
  options: CheckDriveOptions,
  repairs: Repairs,
): Promise<boolean> {
  const { recordedLengths } = session;
  if (recordedLengths === null) return false;
  try {
    await session.reach(recordedLengths, options.deadlineMs);
  } catch (error) {
    // It stays in the report.
    if (error instanceof UnavailableError) return false;
    throw error;
  }
  repairs.add('fetched the end of the logs again from a peer');
  return true;
}

/** Changes the tree, as its writer. Returns what kept it from being mended to the end: the rest is to be told, too. */
async function mendDrive(
  home: Home,
  name: string,
  isWhole: boolean,
  { log }: CheckDriveOptions,
  repairs: Repairs,
): Promise<ShoalError | null> {
  const mend = ({ tree, core, contentLength, writer }: MendableDrive): Promise<void> =>
    mendTree({
      tree,
      walker: new TreeWalker(core, { isWhole }),
      superblock: superblockOf(writer),
      chunkLogLengths: [contentLength],
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      nowMs: Date.now(),
      onChange: (line) => repairs.add(line),
    });
  try {
    const drive = await openDrive(home, name, { command: 'check', offline: true, log, mend });
    try {
      await deleteOrphans(drive, log);
    } finally {
      await drive.close();
    }
    return null;
  } catch (error) {
    if (error instanceof ShoalError) return error;
    throw error;
  }
}

/** As a mount does when it starts. */
async function deleteOrphans(drive: Drive, log: (line: string) => void): Promise<void> {
  const fileSystem = await DriveFileSystem.open({
    tree: drive.tree,
    content: drive.content,
    sync: () => drive.sync(),
    readOnly: false,
    mountUid: 0,
    mountGid: 0,
    numericOwner: true,
    storeDirectory: drive.paths.store,
    log,
  });
  await fileSystem.close();
}

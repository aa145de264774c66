/** Checks a drive that is not mounted, and repairs what can be repaired. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeAddress } from 'hyperdht';
import { UnavailableError } from '../errors.js';
import { mendTree } from '../fs/check/tree-mender.js';
import { DriveFileSystem } from '../fs/drive-file-system.js';
import { limits } from '../limits.js';
import type { Swarm } from '../swarm/swarm.js';
import { TreeWalker } from '../tree/tree-walker.js';
import { type CheckProgress, checkLogs, type LogsFindings } from './check-logs.js';
import type { CheckReport } from './check-report.js';
import { CheckSession } from './check-session.js';
import { superblockOf } from './create-drive.js';
import { type Drive, type MendableDrive, openDrive } from './drive.js';
import { fetchBlocks } from './fetch-blocks.js';
import type { Home } from './home.js';

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
  const repairs = new Repairs();
  const first = await inSession(home, name, async (session) => {
    const findings = await checkSession(session, options);
    const isMended = options.repair && (await fetchDamaged(session, findings, options, repairs));
    return {
      findings: isMended ? await checkSession(session, options) : findings,
      mayWrite: session.mayWrite && session.recordedLengths === null,
      isWhole: session.logs.isWhole,
    };
  });
  let { findings } = first;
  const { isMendable, report } = findings;
  if (options.repair && first.mayWrite && (isMendable || report.orphans > 0)) {
    options.onProgress?.({ step: 'mending', done: 0, total: null });
    await mendDrive(home, name, first.isWhole, options, repairs);
    const { orphans } = report;
    if (orphans > 0) repairs.add(`deleted ${orphans} files that had been deleted while open`);
    findings = await inSession(home, name, (session) => checkSession(session, options));
  }
  return { ...findings.report, repairs: repairs.lines, repairCount: repairs.count };
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
  report.problems.push({ paths: [], ino: null, range: null, message });
  report.problemCount++;
  return findings;
}

/** Returns whether anything was fetched. */
async function fetchDamaged(
  session: CheckSession,
  findings: LogsFindings,
  options: CheckDriveOptions,
  repairs: Repairs,
): Promise<boolean> {
  const { damagedTreeBlocks, damagedChunkBlocks } = findings;
  const { recordedLengths, logs } = session;
  const total = damagedTreeBlocks.length + damagedChunkBlocks.length;
  if (options.offline || (total === 0 && recordedLengths === null)) return false;
  options.onProgress?.({ step: 'looking for peers', done: 0, total: null });
  if (!(await hasPeer(session.connect(options.bootstrap, options.log), options))) return false;
  let isChanged = false;
  if (recordedLengths !== null) isChanged = await reachEnd(session, options, repairs);
  let done = 0;
  const onFetched = (): void => options.onProgress?.({ step: 'fetching', done: ++done, total });
  const { signal } = options;
  const chunkBlocks = damagedChunkBlocks.map(({ block }) => block);
  for (const [core, blocks, what] of [
    [logs.tree, damagedTreeBlocks, 'tree'],
    [logs.content, chunkBlocks, 'chunk log'],
  ] as const) {
    if (blocks.length === 0) continue;
    const fetched = await fetchBlocks(core, blocks, { onFetched, signal });
    isChanged ||= fetched.length > 0;
    for (const block of fetched.sort((a, b) => a - b)) {
      repairs.add(`fetched block ${block} of the ${what} again from a peer`);
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

/** Changes the tree, as its writer. */
async function mendDrive(
  home: Home,
  name: string,
  isWhole: boolean,
  { log }: CheckDriveOptions,
  repairs: Repairs,
): Promise<void> {
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
  const drive = await openDrive(home, name, { command: 'check', offline: true, log, mend });
  try {
    await deleteOrphans(drive, log);
  } finally {
    await drive.close();
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

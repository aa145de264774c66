/** Checks a drive that is not mounted, and repairs what can be repaired. */
import type { NodeAddress } from 'hyperdht';
import { DamagedError, ShoalError, StoreError } from '../errors.js';
import { mendTree } from '../fs/check/tree-mender.js';
import { readBootId } from '../log/boot-id.js';
import { asShoalError } from '../log/store-errors.js';
import { TreeWalker } from '../tree/tree-walker.js';
import { aboutDrive, type CheckProgress, type LogsFindings } from './check-logs.js';
import type { CheckReport } from './check-report.js';
import { CheckSession } from './check-session.js';
import { superblockOf } from './create-drive.js';
import { type Drive, openDrive } from './drive.js';
import { type DriveState, endedUncleanlyBeforeReboot } from './drive-state.js';
import { withAdvice } from './fetch-damaged-tree.js';
import type { Home } from './home.js';
import type { MendableDrive } from './mendable-drive.js';
import { openFileSystem } from './open-file-system.js';
import { finishHeaders, rebuildDatabase, rebuildHeaders } from './rebuild-headers.js';
import { checkSession, repairBlocks } from './repair-blocks.js';
import { Repairs } from './repairs.js';

export interface CheckDriveOptions {
  repair: boolean;
  /** Go on without the parts of the tree that are lost, if no peer has them. */
  giveUp: boolean;
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
  if (options.repair) await finishHeaders(home, name, repairs);
  const look = (session: CheckSession) => checkSession(session, options);
  const first = await inSession(home, name, look).catch(async (error: unknown) => {
    if (!(error instanceof DamagedError)) throw error;
    if (!options.repair) throw withAdvice(error, name);
    if (await canOpen(home, name)) throw error;
    // What the logs are found by cannot be read.
    await rebuildHeaders(home, name, repairs);
    return await inSession(home, name, look);
  });
  if (!options.repair) return first.report;
  if (first.isStoreDamaged) await rebuildDatabase(home, name, repairs);
  const repairLogs = async (session: CheckSession) => ({
    findings: await repairBlocks(session, options, repairs),
    mayWrite: session.mayWrite && session.recordedLengths === null,
    isWhole: session.logs.isWhole,
    state: session.state,
  });
  const repaired = await inSession(home, name, repairLogs).catch(async (error: unknown) => {
    if (first.isStoreDamaged || !isStoreFault(error)) throw error;
    // The database refuses all writes: it came upon a damaged file.
    await rebuildDatabase(home, name, repairs);
    return await inSession(home, name, repairLogs);
  });
  let { findings } = repaired;
  const { orphans } = findings.report;
  let failure: ShoalError | null = null;
  const hasJournal = await mayHaveJournal(repaired.state, findings, options.giveUp);
  if (repaired.mayWrite && (isToBeMended(findings, options.giveUp) || hasJournal)) {
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

async function canOpen(home: Home, name: string): Promise<boolean> {
  const session = await CheckSession.open(home, name).catch((error: unknown) => {
    if (error instanceof DamagedError) return null;
    throw error;
  });
  await session?.close();
  return session !== null;
}

function isStoreFault(error: unknown): boolean {
  return error instanceof StoreError || error instanceof DamagedError;
}

/** What is lost with a block of the tree may come back with a peer, as long as nothing is put in its place. */
function isToBeMended({ isMendable, isTreeTorn, report }: LogsFindings, giveUp: boolean): boolean {
  if (isTreeTorn) return giveUp;
  return isMendable || report.orphans > 0;
}

/**
 * What was synced last may be in a journal that cannot be used, so that no mount for writing opens the drive. After a loss of power
 * opening it here would go on without what peers have: only for who gives that up.
 */
async function mayHaveJournal(
  state: DriveState | null,
  { isTreeTorn }: LogsFindings,
  giveUp: boolean,
): Promise<boolean> {
  if (state === null || state.clean || isTreeTorn) return false;
  return giveUp || !endedUncleanlyBeforeReboot(state, await readBootId());
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
    throw asShoalError(error, `check drive '${name}'`);
  }
  await session.close();
  return result;
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
    const drive = await openDrive(home, name, {
      command: 'check',
      offline: true,
      log,
      mend,
      onRepair: (line) => repairs.add(line),
    });
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
  const fileSystem = await openFileSystem(drive, log);
  await fileSystem.removalsDone();
  await fileSystem.close();
}

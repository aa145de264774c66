/** Collection and retention of a drive that is not mounted. */
import { ReadOnlyError } from '../errors.js';
import { DriveFileSystem } from '../fs/drive-file-system.js';
import { DEFAULT_RETENTION, type Retention, readRetention } from '../tree/retention-record.js';
import { Collections } from './collections.js';
import type { CollectReport } from './collector.js';
import { type Drive, openDrive } from './drive.js';
import type { Home } from './home.js';

export { DEFAULT_RETENTION, type Retention } from '../tree/retention-record.js';

export interface UnmountedOptions {
  log: (line: string) => void;
}

/** Of a drive that another machine writes it drops what was collected there. Throws like {@link Collections.collect}. */
export function collectDrive(
  home: Home,
  name: string,
  options: UnmountedOptions & { dryRun: boolean },
): Promise<CollectReport> {
  return inDrive(home, name, 'collect', options, (collections) => collections.collect(options));
}

/** Throws like {@link Collections.setRetention}. */
export async function setRetention(
  home: Home,
  name: string,
  retention: Retention,
  options: UnmountedOptions,
): Promise<void> {
  await inDrive(home, name, 'retention', options, async (collections, drive) => {
    requireWritable(drive);
    await collections.setRetention(retention);
  });
}

/** Throws NotFoundError, BusyError, UnavailableError. */
export async function retentionOf(
  home: Home,
  name: string,
  { log }: UnmountedOptions,
): Promise<Retention> {
  const drive = await openDrive(home, name, {
    command: 'retention',
    readOnly: true,
    offline: true,
    log,
  });
  try {
    return await readRetention(drive.tree, { localOnly: true });
  } finally {
    await drive.close();
  }
}

async function inDrive<T>(
  home: Home,
  name: string,
  command: string,
  { log }: UnmountedOptions,
  run: (collections: Collections, drive: Drive) => Promise<T>,
): Promise<T> {
  const drive = await openDrive(home, name, { command, offline: true, log });
  try {
    const fileSystem = await DriveFileSystem.open({
      tree: drive.tree,
      content: drive.content,
      sync: () => drive.sync(),
      readOnly: !drive.writable,
      mountUid: 0,
      mountGid: 0,
      numericOwner: true,
      storeDirectory: drive.paths.store,
      log,
    });
    const collections = new Collections(drive, fileSystem, () => [], log);
    try {
      return await run(collections, drive);
    } finally {
      await collections.close();
      await fileSystem.close();
    }
  } finally {
    await drive.close();
  }
}

function requireWritable(drive: Drive): void {
  if (drive.writable) return;
  throw new ReadOnlyError(
    `Cannot change what '${drive.name}' keeps: another machine writes it; run the command there`,
  );
}

/** Times for people: "7 days". */
export function describeRetention(retention: Retention): string {
  const { keepAll, keepMs, keepDailyMs, keepSnapshots } = retention;
  if (keepAll) return 'every version, for ever';
  const parts = [
    keepMs === 0 ? 'the newest version' : `every version of the last ${spell(keepMs)}`,
  ];
  if (keepDailyMs > 0) parts.push(`one version a day of the ${spell(keepDailyMs)} before`);
  if (keepSnapshots) parts.push('labelled snapshots for ever');
  return parts.join(', ');
}

export function isDefaultRetention(retention: Retention): boolean {
  const names = ['keepAll', 'keepMs', 'keepDailyMs', 'keepSnapshots'] as const;
  return names.every((name) => retention[name] === DEFAULT_RETENTION[name]);
}

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const;

function spell(ms: number): string {
  for (const [unit, unitMs] of UNITS) {
    if (ms % unitMs !== 0) continue;
    const count = ms / unitMs;
    return `${count} ${unit}${count === 1 ? '' : 's'}`;
  }
  return `${ms} ms`;
}

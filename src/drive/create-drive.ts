/** The first moment of a drive on a machine: made here, or joined with a key. */
import { createHash } from 'node:crypto';
import type Hypercore from 'hypercore';
import { defaultChunkerParameters } from '../content/chunker.js';
import { CapabilityError } from '../errors.js';
import { initialChanges } from '../fs/initial-tree.js';
import { limits } from '../limits.js';
import { HyperbeeTree } from '../tree/hyperbee-tree.js';
import { COMPRESSIONS, type Compression, type Settings } from '../tree/settings-record.js';
import { FORMAT_VERSION, type Superblock } from '../tree/superblock.js';
import {
  type Capability,
  createWriteCapability,
  requireCapability,
  treeLogKeyOf,
  type WriteCapability,
} from './capability.js';
import { DriveLogs, driveKeysOf, storeSyncOf } from './drive-logs.js';
import { createState, writeState } from './drive-state.js';
import { checkDriveName, type DrivePaths, type DriveRecord, type Home } from './home.js';
import { deriveDriveId, type WriterKeys } from './key-derivation.js';

/** Owner of a new drive's root directory. */
export interface RootOwner {
  uid: number;
  gid: number;
}

export type { Compression };

/** The choices for {@link NewDriveOptions.compression}. */
export const compressions: readonly Compression[] = COMPRESSIONS;

/** How a new drive is to be. */
export interface NewDriveOptions {
  capability?: WriteCapability;
  /** Default: zstd. */
  compression?: Compression;
}

/**
 * Makes a drive with an empty root directory. It is durable, and appears whole or not at all.
 * Throws AlreadyExistsError, UsageError, NoSpaceError, StoreError.
 */
export async function createDrive(
  home: Home,
  name: string,
  owner: RootOwner,
  options: NewDriveOptions = {},
): Promise<DriveRecord> {
  const { capability = createWriteCapability(), compression = 'zstd' } = options;
  const keys = driveKeysOf(capability);
  const writer = keys.writer as WriterKeys;
  const record: DriveRecord = {
    name,
    capability,
    createdAt: new Date().toISOString(),
    origin: true,
    contentLogKey: writer.contentLog.key,
  };
  await home.add(record, async (paths) => {
    await fillStore(paths, capability, superblockOf(writer), owner, { compression });
    await writeState(paths.state, createState({ state: 'held', generation: 1 }));
  });
  return record;
}

/** Adds a drive of which this machine has a key and nothing else yet. Throws AlreadyExistsError, CapabilityError. */
export async function joinDrive(
  home: Home,
  name: string,
  capability: Capability,
): Promise<DriveRecord> {
  requireCapability(capability, 'read');
  const record: DriveRecord = {
    name,
    capability,
    createdAt: new Date().toISOString(),
    origin: false,
    contentLogKey: null,
    // Who joins with it got it from somewhere.
    ...(capability.type === 'write' ? { writeKeyShared: true } : {}),
  };
  await home.add(record, (paths) =>
    writeState(paths.state, createState({ state: 'none', generation: 0 })),
  );
  return record;
}

/**
 * The drive of a key on this machine, joined first when it is new here. `name` null makes a name from the key.
 * A stronger key than the one that is here replaces it. Throws AlreadyExistsError when another drive has the name,
 * CapabilityError.
 */
export async function findOrJoinDrive(
  home: Home,
  name: string | null,
  capability: Capability,
): Promise<DriveRecord> {
  requireCapability(capability, 'read');
  if (name !== null) checkDriveName(name);
  const known = await findByKey(home, treeLogKeyOf(capability));
  if (known === null) return await joinDrive(home, name ?? nameFromKey(capability), capability);
  if (capability.type === 'write' && known.capability.type !== 'write') {
    const stronger = { ...known, capability };
    await home.update(stronger);
    return stronger;
  }
  return known;
}

/** The drive with this tree log key, whatever its name. */
export async function findByKey(home: Home, treeLogKey: Buffer): Promise<DriveRecord | null> {
  for (const name of await home.list()) {
    if (!(await home.exists(name))) continue;
    const record = await home.read(name);
    if (treeLogKeyOf(record.capability).equals(treeLogKey)) return record;
  }
  return null;
}

function nameFromKey(capability: Capability): string {
  const digest = createHash('sha256').update(treeLogKeyOf(capability)).digest('hex');
  return `drive-${digest.slice(0, 8)}`;
}

/** The superblock of a drive with one writer. */
export function superblockOf(writer: WriterKeys): Superblock {
  return {
    formatVersion: FORMAT_VERSION,
    driveId: deriveDriveId(writer.treeLog.key),
    chunker: { ...defaultChunkerParameters },
    writers: [{ treeKey: writer.treeLog.key, contentKey: writer.contentLog.key }],
  };
}

async function fillStore(
  paths: DrivePaths,
  capability: WriteCapability,
  superblock: Superblock,
  owner: RootOwner,
  settings: Settings,
): Promise<void> {
  const keys = driveKeysOf(capability);
  const logs = await DriveLogs.open(paths.store, keys, false);
  const sync = storeSyncOf(logs.store);
  try {
    await logs.create(keys.writer as WriterKeys);
    const content: Hypercore = logs.content(superblock.writers[0]?.contentKey as Buffer, true);
    await content.ready();
    const tree = await HyperbeeTree.open({
      core: logs.tree(true),
      deadlineMs: limits.network_deadline_ms,
    });
    if (!tree.writable || !content.writable) {
      throw new CapabilityError('Cannot create the drive: its logs are not writable');
    }
    await tree.write(initialChanges({ superblock, settings, ...owner, nowMs: Date.now() }));
    await sync.sync();
    await tree.close();
    await content.close();
  } finally {
    await sync.close();
    await logs.store.close();
  }
}

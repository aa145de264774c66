/** The files of a drive's store, as bytes. */
import { closeSync, openSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DriveLogs, driveKeysOf } from '../../../src/drive/drive-logs.js';
import { Home } from '../../../src/drive/home.js';
import { decodeEntry } from '../../../src/tree/entry-record.js';
import { entryKey, segmentKey } from '../../../src/tree/keys.js';
import { decodeSegment } from '../../../src/tree/segment-record.js';
import { withDrive } from './check-drive.js';

const ROOT_INO = 1;

/** A place in a file. */
export interface Place {
  file: string;
  offset: number;
}

/** All files below a folder. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Everywhere in the files below a folder that some bytes stand. */
export function findBytes(folder: string, bytes: Buffer): Place[] {
  const places: Place[] = [];
  for (const file of filesBelow(folder)) {
    const content = readFileSync(file);
    for (let at = content.indexOf(bytes); at !== -1; at = content.indexOf(bytes, at + 1)) {
      places.push({ file, offset: at });
    }
  }
  return places;
}

/** Changes one byte of a file. */
export function flipByte({ file, offset }: Place): void {
  const descriptor = openSync(file, 'r+');
  try {
    const byte = Buffer.alloc(1);
    readSync(descriptor, byte, 0, 1, offset);
    byte[0] = (byte[0] as number) ^ 0x01;
    writeSync(descriptor, byte, 0, 1, offset);
  } finally {
    closeSync(descriptor);
  }
}

/** Inode number of a file in the root directory of a drive that is not mounted. */
export function inoOf(home: string, drive: string, name: string): Promise<number> {
  return withDrive(home, drive, async ({ tree }) => {
    const record = await tree.get(entryKey(ROOT_INO, name));
    if (record === null) throw new Error(`Drive '${drive}' has no file '${name}'`);
    return decodeEntry(record).ino;
  });
}

/** The block of the chunk log, as it is stored, that holds the first byte of a file in the root directory. */
export async function firstBlockOf(home: string, drive: string, name: string): Promise<Buffer> {
  const ino = await inoOf(home, drive, name);
  const segment = await withDrive(home, drive, ({ tree }) => tree.get(segmentKey(ino, 0)));
  const chunk = segment === null ? null : decodeSegment(ino, 0, segment)[0]?.chunk;
  if (chunk === null || chunk === undefined) throw new Error(`File '${name}' has no chunk`);
  const { capability, contentLogKey } = await new Home(home).read(drive);
  if (capability.type === 'host' || contentLogKey === null) throw new Error('No key to read with');
  const { store } = new Home(home).paths(drive);
  const logs = await DriveLogs.open(store, driveKeysOf(capability), true);
  try {
    const core = logs.content(contentLogKey, false);
    await core.ready();
    const block = await core.get(chunk.block, { raw: true });
    if (block === null) throw new Error(`Block ${chunk.block} is missing`);
    return block;
  } finally {
    await logs.store.close();
  }
}

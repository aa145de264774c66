/** A file system that the benchmark can set up by itself. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { command, hasProgram, tryCommand } from '../../../test/support/command.js';
import type { LoopResult } from '../loops.js';
import { findMountProcess } from '../mount-process.js';
import type { Sizes } from '../sizes.js';

/** One that was set up. */
export interface Subject {
  /** Where it is mounted; null for what has no mount. */
  directory: string | null;
  /** The process that serves it; null when there is none. */
  pid: number | null;
  /** The folder that keeps its data. */
  backing: string;
  /** Runs a workload without a mount; null for one that it has no calls for. */
  runApi?(id: string, sizes: Sizes): Promise<(() => Promise<LoopResult>) | null>;
  /** Bytes of the log of metadata so far, of what has one. */
  metadataLogBytes?(): Promise<number>;
  close(): Promise<void>;
}

export interface Competitor {
  name: string;
  /** A word or two for the table's head: what it is. */
  what: string;
  /** Whether it encrypts, as Shoal does. */
  encrypts: boolean;
  /** Why it cannot be measured here, and what to do about it; null when it can. */
  missing(): string | null;
  /** Sets it up with an empty file system below `folder`, which is on the disk that is measured. */
  start(folder: string): Promise<Subject>;
}

/** What to say of a program that is not installed, or null. */
export function missingProgram(program: string): string | null {
  return hasProgram(program) ? null : `'${program}' is not installed; apt-get install ${program}`;
}

/** Makes the folders that most need: for the data, and to mount at. */
export function makeFolders(folder: string): { backing: string; directory: string } {
  const backing = path.join(folder, 'data');
  const directory = path.join(folder, 'mount');
  mkdirSync(backing, { recursive: true });
  mkdirSync(directory, { recursive: true });
  return { backing, directory };
}

/** A FUSE file system that a command has just mounted. Throws when it is not mounted. */
export function mountedSubject(
  name: string,
  { backing, directory }: { backing: string; directory: string },
): Subject {
  const pid = findMountProcess(directory);
  if (pid === null) throw new Error(`Cannot measure '${name}': it is not mounted at ${directory}`);
  return { directory, pid, backing, close: () => unmount(directory) };
}

async function unmount(directory: string): Promise<void> {
  const result = await tryCommand('fusermount3', ['-u', directory]);
  // Something may still look at it.
  if (result.code !== 0) await command('umount', ['--lazy', directory]);
}

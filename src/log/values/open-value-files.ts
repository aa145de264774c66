/** The value files that are open: a few of many. */
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '../../limits.js';
import { syncDirectory } from '../sync-file.js';

const SUFFIX = '.values';
const NUMBER_DIGITS = 8;

interface OpenFile {
  handle: Promise<FileHandle>;
  /** Once it is open. */
  fd: number | null;
  /** Past the kernel's cache, once somebody wanted that. */
  direct: Promise<FileHandle> | null;
  users: number;
}

/** The number of a value file, of its name; null for another name. */
export function numberOfName(name: string): number | null {
  const isFile = new RegExp(`^\\d{${NUMBER_DIGITS},10}\\${SUFFIX}$`).test(name);
  return isFile ? Number.parseInt(name, 10) : null;
}

export class OpenValueFiles {
  readonly #directory: string;
  readonly #onCreated: (file: number) => void;
  /** Used longest ago first. */
  readonly #files = new Map<number, OpenFile>();
  /** Files that were begun and are not on the disk yet. */
  readonly #fresh = new Set<number>();
  #isClosed = false;

  /** @param onCreated Called when a file that was begun is on the disk. */
  constructor(directory: string, onCreated: (file: number) => void) {
    this.#directory = directory;
    this.#onCreated = onCreated;
  }

  pathOf(file: number): string {
    return join(this.#directory, `${String(file).padStart(NUMBER_DIGITS, '0')}${SUFFIX}`);
  }

  /** The file is made when it is used for the first time. */
  begin(file: number): void {
    this.#fresh.add(file);
  }

  /** Good until something is waited for; null when the file is not open. */
  fdOf(file: number): number | null {
    return this.#files.get(file)?.fd ?? null;
  }

  /** The file stays open while it is worked with. Throws errors of the file system, and what `work` throws. */
  async use<T>(file: number, work: (handle: FileHandle) => Promise<T>): Promise<T> {
    return await this.#use(file, async ({ handle }) => await work(await handle));
  }

  /** The same past the kernel's cache. */
  async useDirect<T>(file: number, work: (handle: FileHandle) => Promise<T>): Promise<T> {
    return await this.#use(file, async (opened) => {
      opened.direct ??= this.#openDirect(file, opened);
      return await work(await opened.direct);
    });
  }

  /** Removes it from the disk. Throws errors of the file system. */
  async remove(file: number): Promise<void> {
    const opened = this.#files.get(file);
    this.#files.delete(file);
    await rm(this.pathOf(file), { force: true });
    // Else its last user closes it.
    if (opened?.users === 0) await close(opened);
  }

  /** Closes those that nobody uses now; their last users close the others, and those that are opened later. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const files = [...this.#files.values()];
    this.#files.clear();
    for (const opened of files) if (opened.users === 0) await close(opened);
  }

  async #use<T>(file: number, work: (opened: OpenFile) => Promise<T>): Promise<T> {
    let opened = this.#files.get(file);
    if (opened === undefined) {
      opened = { handle: this.#open(file), fd: null, direct: null, users: 0 };
    } else this.#files.delete(file);
    if (!this.#isClosed) this.#files.set(file, opened);
    opened.users++;
    let isOpen = false;
    try {
      opened.fd = (await opened.handle).fd;
      isOpen = true;
      return await work(opened);
    } finally {
      opened.users--;
      if (!isOpen) {
        if (this.#files.get(file) === opened) this.#files.delete(file);
      } else if (opened.users === 0 && this.#files.get(file) !== opened) await close(opened);
      if (this.#files.size > limits.value_files_open_max) await this.#closeOldest();
    }
  }

  async #open(file: number): Promise<FileHandle> {
    if (!this.#fresh.has(file)) return await open(this.pathOf(file), 'r+');
    const handle = await open(this.pathOf(file), 'wx+', 0o600);
    try {
      // Else a loss of power could take the file with what was synced in it.
      await syncDirectory(this.#directory);
    } catch (error) {
      await handle.close();
      await rm(this.pathOf(file), { force: true });
      throw error;
    }
    this.#fresh.delete(file);
    this.#onCreated(file);
    return handle;
  }

  async #openDirect(file: number, opened: OpenFile): Promise<FileHandle> {
    try {
      return await open(this.pathOf(file), constants.O_RDWR | constants.O_DIRECT);
    } catch (error) {
      // There may have been too many open files; the next one tries again.
      opened.direct = null;
      throw error;
    }
  }

  async #closeOldest(): Promise<void> {
    for (const [file, opened] of this.#files) {
      if (opened.users > 0) continue;
      this.#files.delete(file);
      await close(opened);
      return;
    }
  }
}

async function close({ handle, direct }: OpenFile): Promise<void> {
  // One that could not be opened was told to who wanted it.
  await direct?.then(
    (file) => file.close(),
    () => undefined,
  );
  await (await handle).close();
}

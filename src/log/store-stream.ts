import { readdirSync, readlinkSync } from 'node:fs';
import koffi from 'koffi';
import { limits } from '../limits.js';

const FADV_NORMAL = 0;
const FADV_RANDOM = 1;

const DESCRIPTORS = '/proc/self/fd';

/** Tells the kernel how a file will be read; answers an error's number, which does not matter. */
const posixFadvise: (fd: number, offset: number, length: number, advice: number) => number = koffi
  .load(null)
  .func('int posix_fadvise(int, int64_t, int64_t, int)');

/**
 * Lets the kernel read ahead in the store's files of values while a log is read in order. RocksDB forbids it, and its
 * package has no option to: it asks the disk for each value on its own, and a thread sleeps until that is there. For values
 * here and there that is right, so it is forbidden again when the stream ends.
 */
export class StoreStream {
  readonly #advise: (fd: number, advice: number) => void;
  readonly #now: () => number;
  /** Descriptors of files of values, in which the kernel may read ahead now. */
  readonly #files = new Set<number>();
  /** Other descriptors that were looked at. */
  readonly #others = new Set<number>();
  #bytes = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    advise = (fd: number, advice: number): void => void posixFadvise(fd, 0, 0, advice),
    now = (): number => performance.now(),
  ) {
    this.#advise = advise;
    this.#now = now;
  }

  /** So many bytes are being read that lie behind those before. */
  note(bytes: number): void {
    const now = this.#now();
    if (now - this.#lastMs > limits.store_stream_rest_ms) this.#bytes = 0;
    this.#lastMs = now;
    this.#bytes += bytes;
    if (this.#bytes < limits.store_stream_look_bytes) return;
    this.#bytes = 0;
    this.#allow();
  }

  /** Idempotent. */
  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#forbid();
  }

  #allow(): void {
    for (const name of descriptors()) {
      const fd = Number(name);
      if (this.#files.has(fd) || this.#others.has(fd)) continue;
      const path = pathOf(fd);
      // Gone already: the one that listed them.
      if (path === null) continue;
      if (!path.endsWith('.blob')) this.#others.add(fd);
      else {
        this.#files.add(fd);
        this.#advise(fd, FADV_NORMAL);
      }
    }
    if (this.#files.size === 0 || this.#timer !== null) return;
    this.#timer = setInterval(() => {
      if (this.#now() - this.#lastMs > limits.store_stream_rest_ms) this.close();
    }, limits.store_stream_rest_ms);
    this.#timer.unref();
  }

  #forbid(): void {
    for (const fd of this.#files) {
      // RocksDB may have closed it, and the number may be another file's now.
      if (pathOf(fd)?.endsWith('.blob') === true) this.#advise(fd, FADV_RANDOM);
    }
    this.#files.clear();
    this.#others.clear();
  }
}

function descriptors(): string[] {
  return where(() => readdirSync(DESCRIPTORS), []);
}

function pathOf(fd: number): string | null {
  return where(() => readlinkSync(`${DESCRIPTORS}/${fd}`), null);
}

/** A descriptor may be closed at any time; other systems have no such folder. */
function where<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'EACCES', 'EMFILE', 'ENFILE'].includes(code)) return otherwise;
    throw error;
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import koffi from 'koffi';
import { limits } from '../limits.js';

const FREEING_MS = 300;

/** Frees what is not used; takes some ten milliseconds. V8 does not by itself while nothing happens. */
function collectGarbage(): void {
  // The function is made while the flag is set.
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  collect();
}

/** The heap's objects and the memory of buffers. */
function usedBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/**
 * Gives the memory back to the system that the C library holds between pieces in use: measured, 100 MB after a few
 * hundred megabytes were read. Other C libraries than glibc have no such function, and hold on to less.
 */
function trimHeap(): Promise<void> {
  const mallocTrim = findMallocTrim();
  if (mallocTrim === null) return Promise.resolve();
  return new Promise((resolve) => mallocTrim.async(0, () => resolve()));
}

function findMallocTrim() {
  try {
    return koffi.load(null).func('int malloc_trim(size_t)');
  } catch {
    return null;
  }
}

/**
 * Gives memory back. Notices that the process, after it has worked, has nothing to do any more: then all goes that is
 * held to be fast. Work is time of the processor, whatever it was spent on. A process that has become large while it
 * works gives back what it does not use.
 */
export class MemoryWatch {
  readonly #release: () => Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #usage = process.cpuUsage();
  /** Since memory was last given back. */
  #workedMs = 0;
  #releasing = false;
  #looksUntilTrim = 0;
  /** In use right after garbage was last collected here. */
  #neededBytes = 0;

  /** `release` must not reject. */
  constructor(release: () => Promise<void>) {
    this.#release = release;
    this.#timer = setInterval(() => this.#look(), limits.idle_look_interval_ms);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    if (this.#releasing) return;
    const { user, system } = process.cpuUsage(this.#usage);
    this.#usage = process.cpuUsage();
    const workedMs = (user + system) / 1000;
    this.#workedMs += workedMs;
    if (this.#looksUntilTrim > 0) this.#looksUntilTrim--;
    const residentBytes = process.memoryUsage.rss();
    if (residentBytes > limits.resident_bytes_collected_min) this.#collectMuchGarbage();
    const isIdle = workedMs < limits.idle_work_ms_max;
    if (isIdle && this.#workedMs >= limits.idle_release_work_ms_min) {
      void this.#run(() => this.#releaseAll());
    } else if (this.#looksUntilTrim === 0 && residentBytes > limits.resident_bytes_trimmed_min) {
      this.#looksUntilTrim = limits.looks_between_trims_min;
      void this.#run(trimHeap);
    }
  }

  /** V8 lets more than a hundred megabytes come together, most of it buffers that it does not count in full. */
  #collectMuchGarbage(): void {
    const inUse = usedBytes();
    this.#neededBytes = Math.min(this.#neededBytes, inUse);
    if (inUse - this.#neededBytes < limits.garbage_bytes_collected_min) return;
    collectGarbage();
    this.#neededBytes = usedBytes();
  }

  async #run(task: () => Promise<void>): Promise<void> {
    this.#releasing = true;
    await task();
    this.#releasing = false;
  }

  async #releaseAll(): Promise<void> {
    await this.#release();
    // Twice: what is freed in later turns, as buffers' memory is, holds other things.
    for (let round = 0; round < 2; round++) {
      collectGarbage();
      await sleep(FREEING_MS);
    }
    await trimHeap();
    this.#usage = process.cpuUsage();
    this.#workedMs = 0;
  }
}

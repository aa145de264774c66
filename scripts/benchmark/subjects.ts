/** Setting up what is compared, and taking it down, whatever happens. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeSourceTree } from '../../test/support/source-tree.js';
import { cpuMs } from '../space/idle.js';
import type { Competitor, Subject } from './competitors/competitor.js';
import { MemorySampler, residentBytes } from './mount-process.js';
import type { Sizes } from './sizes.js';
import { dropTree, makeFolder, type Place } from './workloads.js';

/** A commit, or a cache's writing back, begins within a second. */
const QUIET_MS_MIN = 1200;
const QUIET_MS_MAX = 20_000;
const LOOK_MS = 250;
const QUIET_WORK_MS_MAX = 20;

/** One that is being measured. */
export interface RunningSubject {
  competitor: Competitor;
  subject: Subject;
  place: Place;
  sampler: MemorySampler | null;
  /** Resident bytes of the process once it was mounted and quiet. */
  restBytes: number;
}

/** All that are compared, in a folder of their own on one disk. */
export class Subjects {
  readonly folder: string;
  readonly running: RunningSubject[] = [];
  readonly #source: string;
  readonly #sizes: Sizes;
  #closing: Promise<void> | null = null;

  constructor(parent: string, sizes: Sizes) {
    this.folder = mkdtempSync(path.join(parent, 'shoal-bench-'));
    this.#source = path.join(this.folder, 'source');
    this.#sizes = sizes;
    mkdirSync(this.#source);
  }

  /** A source tree that nobody has seen: what is stored already would be found again. Copies of the one before go. */
  newSource(seed: number): void {
    const { treeFiles: files, treeBytes: bytes } = this.#sizes;
    rmSync(this.#source, { recursive: true });
    mkdirSync(this.#source);
    writeSourceTree(this.#source, { files, bytes, seed });
    // Not all that is compared has links.
    for (const name of ['link', 'dangling', 'hard-link']) rmSync(path.join(this.#source, name));
    for (const { place } of this.running) dropTree(place);
  }

  async start(competitor: Competitor): Promise<void> {
    const subject = await competitor.start(path.join(this.folder, competitor.name));
    if (this.#closing !== null) {
      await subject.close();
      rmSync(this.folder, { recursive: true, force: true });
      throw new Error('interrupted');
    }
    const { directory, pid, backing } = subject;
    const place: Place = {
      folder: directory === null ? backing : makeFolder(directory),
      source: this.#source,
      sizes: this.#sizes,
      backing,
    };
    await untilQuiet(pid);
    this.running.push({
      competitor,
      subject,
      place,
      sampler: pid === null ? null : new MemorySampler(pid),
      restBytes: pid === null ? 0 : residentBytes(pid),
    });
  }

  /** Unmounts and removes everything; goes on when one does not come down, and says so. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const { competitor, subject, sampler } of this.running.splice(0)) {
      sampler?.stop();
      try {
        await subject.close();
      } catch (error) {
        console.error(`bench: cannot end ${competitor.name}: ${String(error)}`);
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits until a process has done what it put off, so that it does not disturb what is measured next. */
export async function untilQuiet(pid: number | null): Promise<void> {
  if (pid === null) return;
  const began = performance.now();
  for (let before = cpuMs(pid); ; ) {
    await sleep(LOOK_MS);
    const now = cpuMs(pid);
    const tookMs = performance.now() - began;
    if (tookMs > QUIET_MS_MAX) return;
    if (tookMs >= QUIET_MS_MIN && now - before <= QUIET_WORK_MS_MAX) return;
    before = now;
  }
}

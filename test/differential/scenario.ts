/** A mounted drive, a plain directory, and what can happen to the drive while both are used. */
import { chmodSync, closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BootstrapNode, type DriveMount, Machine } from '../support/drive-mount.js';
import { dropCaches } from '../support/drop-caches.js';
import { canActAsOthers } from '../support/other-user.js';
import { SeededRandom } from '../support/seeded-random.js';
import { DifferenceError, Differential } from './differential.js';

const DRIVE = 'differential';
const { ENOENT, ESTALE, ELOOP, ENOTDIR, EISDIR, EINVAL } = constants.errno;
/** What comes of asking for a file that has become another one meanwhile. By number: not all have a name in Node.js. */
const CHANGED_ERRNOS = [ENOENT, ESTALE, ELOOP, ENOTDIR, EISDIR, EINVAL];
/** Generous: what a reader does not show after this, it never shows. */
const READER_MS_MAX = 60_000;
const READER_POLL_MS = 50;

/** Something that happens to the drive between two operations. */
export type Event = 'compare' | 'drop caches' | 'fsync' | 'remount' | 'kill' | 'reader';

/** What happens at random points, and how many operations there are between two such points on average. */
export interface Variety {
  events: readonly Event[];
  eventEvery: number;
}

/** The kinds of runs that there are. A seed gives the same run of a kind wherever it is used. */
export const VARIETIES = {
  quiet: { events: ['compare', 'drop caches', 'fsync'], eventEvery: 150 },
  crashes: { events: ['remount', 'kill', 'drop caches'], eventEvery: 200 },
  reader: { events: ['reader', 'reader', 'compare', 'fsync'], eventEvery: 100 },
} as const satisfies Record<string, Variety>;

export interface RunOptions extends Variety {
  seed: number;
  /** Operations to do. */
  steps: number;
}

/** One drive, mounted for as long as the scenario lives; for several runs, each in a folder of its own. */
export class Scenario {
  readonly #machine: Machine;
  readonly #plain: string;
  readonly #readerMachine: Machine | null;
  readonly #bootstrap: BootstrapNode | null;
  #mount: DriveMount;
  #reader: DriveMount | null = null;
  #runs = 0;

  private constructor(
    machine: Machine,
    mount: DriveMount,
    readers: { machine: Machine; bootstrap: BootstrapNode } | null,
  ) {
    this.#machine = machine;
    this.#mount = mount;
    this.#readerMachine = readers?.machine ?? null;
    this.#bootstrap = readers?.bootstrap ?? null;
    this.#plain = mkdtempSync(path.join(tmpdir(), 'plain-'));
    chmodSync(this.#plain, 0o755);
  }

  /** Makes and mounts a drive; with `reader`, a second machine of a private network mounts it for reading. */
  static async start(options: { reader: boolean }): Promise<Scenario> {
    const bootstrap = options.reader ? await BootstrapNode.start() : null;
    const network = bootstrap === null ? {} : { bootstrap: bootstrap.address };
    const machines: Machine[] = [];
    try {
      const machine = openMachine(machines, network);
      await machine.shoal('create', DRIVE);
      const mount = await machine.mount(DRIVE, mountOptions(options.reader));
      if (bootstrap === null) return new Scenario(machine, mount, null);
      const reading = openMachine(machines, network);
      const scenario = new Scenario(machine, mount, { machine: reading, bootstrap });
      const key = (await machine.shoal('share', DRIVE)).trim();
      const more = ['--name', 'reader', '--numeric-owner'];
      scenario.#reader = await reading.mount(key, [...mountOptions(true), ...more]);
      return scenario;
    } catch (error) {
      for (const machine of machines) await machine.close();
      await bootstrap?.close();
      throw error;
    }
  }

  /** The mount as it is now: remounting makes a new one. */
  get mount(): DriveMount {
    return this.#mount;
  }

  get reader(): DriveMount | null {
    return this.#reader;
  }

  async close(): Promise<void> {
    await this.#readerMachine?.close();
    await this.#machine.close();
    await this.#bootstrap?.close();
    rmSync(this.#plain, { recursive: true, force: true });
  }

  /** One run of random operations, compared in the middle and at the end. Throws {@link DifferenceError}. */
  async run(options: RunOptions): Promise<void> {
    const name = `run-${this.#runs++}`;
    const folders = [path.join(this.#plain, name), path.join(this.#mount.directory, name)] as const;
    for (const folder of folders) mkdirSync(folder);
    const run = new Differential(...folders, options.seed);
    // Apart from the operations: the same seed does the same operations whatever else happens.
    const random = new SeededRandom(options.seed ^ 0xe0e0);
    try {
      while (run.steps < options.steps) {
        run.step();
        if (random.below(options.eventEvery) === 0)
          await this.#happen(random.pick(options.events), run, name);
      }
      run.compareAll(dropCaches(this.#mount.directory));
    } finally {
      run.closeFiles();
    }
    for (const folder of folders) rmSync(folder, { recursive: true });
  }

  async #happen(event: Event, run: Differential, name: string): Promise<void> {
    run.note(`-- ${event}`);
    let settled = false;
    switch (event) {
      case 'compare':
        break;
      case 'drop caches':
        settled = dropCaches(this.#mount.directory);
        break;
      case 'fsync':
        this.#fsync();
        break;
      case 'remount':
        // A mount in use does not unmount.
        run.closeFiles();
        await this.#mount.unmount();
        await this.#mountAgain();
        settled = true;
        break;
      case 'kill':
        this.#syncAll();
        await this.#mount.kill();
        run.closeFiles();
        await this.#mountAgain();
        settled = true;
        break;
      case 'reader':
        this.#syncAll();
        await this.#compareReader(run, name);
        break;
    }
    run.compareAll(settled);
  }

  async #mountAgain(): Promise<void> {
    const { directory } = this.#mount;
    this.#mount = await this.#machine.mount(DRIVE, mountOptions(this.#reader !== null), directory);
  }

  #fsync(): void {
    const fd = openSync(this.#mount.directory, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** The kernel hands over all that it holds, then the drive commits. */
  #syncAll(): void {
    dropCaches(this.#mount.directory);
    this.#fsync();
  }

  async #compareReader(run: Differential, name: string): Promise<void> {
    const reader = this.#reader;
    if (reader === null) throw new Error('This scenario has no reader');
    const deadlineMs = performance.now() + READER_MS_MAX;
    for (;;) {
      try {
        run.compareWith(path.join(reader.directory, name), 'the reader', true);
        return;
      } catch (error) {
        const { errno = 0 } = error as NodeJS.ErrnoException;
        const early = error instanceof DifferenceError || CHANGED_ERRNOS.includes(-errno);
        if (!early || performance.now() > deadlineMs) throw error;
      }
      await sleep(READER_POLL_MS);
    }
  }
}

function mountOptions(network: boolean): string[] {
  return [...(network ? [] : ['--offline']), ...(canActAsOthers() ? ['--allow-other'] : [])];
}

function openMachine(list: Machine[], network: { bootstrap?: string }): Machine {
  const machine = new Machine(network);
  list.push(machine);
  // Other users go through.
  chmodSync(machine.folder, 0o755);
  return machine;
}

/** A drive that one machine writes and others read, over a private network on the loopback address. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Assertions } from 'brittle';
import type { MountStatus } from '../../../src/drive/mounted-drive.js';
import {
  BootstrapNode,
  type DriveMount,
  Machine,
  type MachineOptions,
} from '../../support/drive-mount.js';
import { errnoName } from '../../support/syscalls.js';

/** How long a test waits for what should come soon. Far above what is expected: a slow machine is no failure. */
const EVENTUALLY_MS_MAX = 60_000;
const POLL_MS = 20;
/** Nothing comes for so long: nothing is on its way. */
const QUIET_MS = 300;

/** For `test`: mounts, network and processes take their time on a busy machine. */
export const SHARING_TIME = { timeout: 180_000 } as const;

/** Paths in a directory named after a step of a test, at the machine that writes and at one that reads. */
export function pathsOfStep(origin: DriveMount, reader: DriveMount, step: string) {
  const directory = step.replaceAll(' ', '-');
  return {
    at: (file: string) => join(origin.directory, directory, file),
    seen: (file: string) => join(reader.directory, directory, file),
  };
}

/** The machine that writes, and what others need to read. */
export class SharedDrive {
  readonly name: string;
  readonly key: string;
  /** The mount that writes. */
  origin: DriveMount;
  readonly #t: Assertions;
  /** HOST:PORT of the private network. */
  readonly bootstrap: string;
  readonly #options: MachineOptions;

  private constructor(
    t: Assertions,
    bootstrap: string,
    origin: DriveMount,
    key: string,
    options: MachineOptions,
  ) {
    this.#t = t;
    this.#options = options;
    this.bootstrap = bootstrap;
    this.origin = origin;
    this.name = origin.name;
    this.key = key;
  }

  /** A new drive, mounted; ended with the test. `options`: of all its machines. */
  static async forTest(
    t: Assertions,
    options: Pick<MachineOptions, 'here'> = {},
  ): Promise<SharedDrive> {
    const bootstrap = await BootstrapNode.forTest(t);
    const ofMachines = { ...options, bootstrap: bootstrap.address };
    const machine = Machine.forTest(t, ofMachines);
    const origin = await machine.createAndMount('origin');
    const key = (await machine.shoal('share', 'origin')).trim();
    return new SharedDrive(t, bootstrap.address, origin, key, ofMachines);
  }

  /** Mounts the drive on another machine. It has seen what was committed before the call. */
  async addReader(options: string[] = []): Promise<DriveMount> {
    const machine = this.addMachine();
    return await machine.mount(this.key, ['--name', 'reader', ...options]);
  }

  /** Another machine, without the drive. */
  addMachine(): Machine {
    return Machine.forTest(this.#t, this.#options);
  }

  /** The origin's process is gone: mounts the drive there again. */
  async returnOrigin(): Promise<void> {
    this.origin = await this.origin.machine.mount(this.name);
  }
}

export async function statusOf(mount: DriveMount): Promise<MountStatus> {
  const printed = await mount.machine.shoal('status', mount.name, '--json');
  const report = JSON.parse(printed) as { mount: MountStatus | null };
  if (report.mount === null) throw new Error(`Drive '${mount.name}' is not mounted: ${printed}`);
  return report.mount;
}

/** Once nothing is on its way: what was read ahead for an earlier read may still be. */
export async function settled(mount: DriveMount): Promise<MountStatus> {
  for (let last = await statusOf(mount); ; ) {
    await sleep(QUIET_MS);
    const now = await statusOf(mount);
    if (now.downloadedBytes === last.downloadedBytes) return now;
    last = now;
  }
}

/**
 * Asks again and again until `check` returns true; one that throws counts as "not yet". Returns the milliseconds it
 * took. Throws with the last error after a generous deadline.
 */
export async function eventually(
  what: string,
  check: () => boolean | Promise<boolean>,
): Promise<number> {
  const beganMs = performance.now();
  for (;;) {
    let last: unknown = 'the check returned false';
    try {
      if (await check()) return Math.round(performance.now() - beganMs);
    } catch (error) {
      last = error;
    }
    if (performance.now() - beganMs > EVENTUALLY_MS_MAX) {
      throw new Error(`Not within ${EVENTUALLY_MS_MAX} ms: ${what}`, { cause: last });
    }
    await sleep(POLL_MS);
  }
}

/** The `code` of what a function throws; "none" when it does not. */
export function errorCode(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    // Node does not know every name.
    return errno === undefined ? String(error) : errnoName(-errno);
  }
  return 'none';
}

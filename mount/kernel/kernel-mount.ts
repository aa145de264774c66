import { closeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { MountError, MountProtocolError } from '../errors.js';
import type {
  DriverStatistics,
  FileSystem,
  Mount,
  MountOptions,
  MountParameters,
} from '../file-system.js';
import { mountLimits } from '../limits.js';
import { abortConnection, dropMountNow } from '../system/connection.js';
import { guardExit } from '../system/exit-guard.js';
import { mountBusy } from '../system/mount-busy.js';
import type { MountedDescriptor, MountMethod } from '../system/mount-method.js';
import { mountAt, readMountTable } from '../system/mount-table.js';
import { runCommand } from '../system/run-command.js';
import { FuseDevice } from './fuse-device.js';
import { deviceWriter, Notifier } from './notifier.js';
import { raiseReadAhead } from './read-ahead.js';
import { RequestLoop } from './request-loop.js';
import { Session } from './session.js';

/** A mounted directory from its first request to the end of its connection. */
export class KernelMount implements Mount {
  readonly directory: string;
  readonly #method: MountMethod;
  readonly #options: MountOptions;
  readonly #fuseDevice: FuseDevice;
  readonly #lifeline: number | null;
  readonly #notifier: Notifier;
  readonly #session: Session;
  readonly #agreed: Promise<MountParameters | Error>;
  readonly #ended: Promise<void>;
  #resolveEnded: () => void = () => undefined;
  readonly #callOffExit: () => void;
  /** "major:minor" once known. */
  #device: string | null = null;
  #hasEnded = false;
  #started = false;
  /** Calls of `unmount` under way: an end is then no surprise. */
  #unmounting = 0;

  constructor(
    directory: string,
    mounted: MountedDescriptor,
    method: MountMethod,
    fileSystem: FileSystem,
    options: MountOptions,
  ) {
    this.directory = directory;
    this.#method = method;
    this.#options = options;
    this.#lifeline = mounted.lifeline;
    this.#fuseDevice = new FuseDevice(mounted.fd);
    this.#notifier = new Notifier(deviceWriter(mounted.fd), (...inodes) =>
      this.#session.oldestOutstanding(...inodes),
    );
    let agree: (agreed: MountParameters | Error) => void = () => undefined;
    this.#agreed = new Promise((resolve) => {
      agree = resolve;
    });
    this.#ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#session = new Session(fileSystem, this.#notifier, {
      onInit: agree,
      onNotice: options.onNotice,
    });
    // With a lifeline, fusermount3 unmounts when this process is gone.
    this.#callOffExit = guardExit(() => {
      if (this.#lifeline === null) dropMountNow(directory);
    });
  }

  /** Begins to answer. Resolves when kernel and driver have agreed; throws {@link MountProtocolError} otherwise. */
  async start(): Promise<void> {
    const loop = new RequestLoop(this.#fuseDevice, this.#session, (error) => {
      void this.#end(error);
    });
    this.#session.onLaterAnswer = () => {
      loop.answeredLater();
      this.#notifier.requestsAnswered();
    };
    const agreed = await Promise.race([
      this.#begin(loop),
      this.#ended.then(() => new Error('it was unmounted at once')),
      delay(mountLimits.mount_command_ms_max, new Error('the kernel does not begin'), {
        ref: false,
      }),
    ]);
    if (agreed instanceof Error) {
      await this.unmount({ force: true });
      throw new MountProtocolError(`Cannot mount at '${this.directory}': ${agreed.message}`);
    }
    this.#started = true;
    this.#device = mountAt(await readMountTable(), this.directory)?.device ?? null;
    if (this.#device !== null) await raiseReadAhead(this.#device);
  }

  /** Resolves with what kernel and driver agreed on, or with why not. */
  async #begin(loop: RequestLoop): Promise<MountParameters | Error> {
    try {
      loop.start();
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
    return await this.#agreed;
  }

  statistics(): DriverStatistics {
    return this.#session.statistics();
  }

  async unmount({ force }: { force: boolean }): Promise<void> {
    if (this.#hasEnded) return;
    this.#unmounting++;
    try {
      await this.#settleNotifications(force);
      const result = await this.#method.unmount(this.directory, false);
      if (result.outcome === 'unmounted' || (await this.#isGone())) {
        await this.#waitForEnd();
      } else if (force) {
        await this.#detach();
      } else if (result.outcome === 'busy') {
        throw await mountBusy(this.directory);
      } else {
        throw new MountError(`Cannot unmount '${this.directory}': ${result.text}`);
      }
    } finally {
      this.#unmounting--;
      if (this.#unmounting === 0 && !this.#hasEnded) this.#notifier.resume();
    }
  }

  /**
   * Unmounting waits in the kernel for notifications it is taking, and those may wait for requests that wait for a peer.
   * None is begun from now on; those under way get a little time, then what they could wait for is interrupted. The mount
   * may turn out to be busy and go on: so each request is answered with what became of it, unless the mount ends in any case.
   */
  async #settleNotifications(force: boolean): Promise<void> {
    const quiet = this.#notifier.pause();
    const beganAt = performance.now();
    // Again and again: the kernel may ask once more for the page that it did not get.
    const looks = setInterval(() => {
      const waitedMs = performance.now() - beganAt;
      if (waitedMs < mountLimits.notification_settle_all_ms_max) {
        this.#session.interruptOutstanding(this.#notifier.awaitedLocks);
      } else if (!force || waitedMs < mountLimits.forced_unmount_wait_ms_max) {
        // Whoever has such a lock may wait in the kernel for one of another file, whose request waits for a peer.
        this.#session.interruptOutstanding();
      } else this.#session.failOutstanding();
    }, mountLimits.notification_settle_ms_max);
    await quiet;
    clearInterval(looks);
  }

  /** Whether this mount is not in the mount table any more. */
  async #isGone(): Promise<boolean> {
    if (this.#hasEnded) return true;
    return !(await readMountTable()).some((entry) => entry.device === this.#device);
  }

  /** Takes the directory away from those who use it: their calls fail from now on. */
  async #detach(): Promise<void> {
    if (this.#session.parameters?.writebackCache === true) {
      // What programs wrote and the kernel still gathers. A child, and with a deadline: it asks this very mount.
      await runCommand('sync', ['-f', this.directory], {
        timeoutMs: mountLimits.forced_unmount_wait_ms_max,
      });
    }
    await abortConnection(this.directory, this.#device);
    const result = await this.#method.unmount(this.directory, true);
    if (result.outcome !== 'unmounted' && !(await this.#isGone())) {
      throw new MountError(`Cannot detach '${this.directory}': ${result.text}`);
    }
    await this.#waitForEnd();
  }

  /**
   * The directory is unmounted; the connection ends with it, unless somebody detached it while it was in use, or
   * another mount namespace has a copy. Then it is ended, or (an ordinary user without the control file system) left to
   * end with this process.
   */
  async #waitForEnd(): Promise<void> {
    if (await this.#endsSoon()) return;
    if ((await abortConnection(this.directory, this.#device)) && (await this.#endsSoon())) return;
    this.#options.onNotice(
      `'${this.directory}' is detached, but programs still hold files of it; it ends with this process`,
    );
  }

  async #endsSoon(): Promise<boolean> {
    const stop = new AbortController();
    const tooLate = delay(mountLimits.forced_unmount_wait_ms_max, undefined, {
      signal: stop.signal,
    }).catch(() => undefined);
    await Promise.race([this.#ended, tooLate]);
    stop.abort();
    return this.#hasEnded;
  }

  async #end(error: Error | null): Promise<void> {
    this.#hasEnded = true;
    const expected = this.#unmounting > 0 || !this.#started;
    this.#session.end();
    await this.#notifier.end();
    this.#fuseDevice.close();
    if (this.#lifeline !== null) closeSync(this.#lifeline);
    this.#callOffExit();
    this.#resolveEnded();
    if (!expected) this.#options.onEnd(error);
  }
}

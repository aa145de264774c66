/** A mount of the benchmark's own, with the probe in its process. */
import { readdirSync, readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import path from 'node:path';
import { askMounted, type DriveMount, Machine } from '../../test/support/drive-mount.js';
import { type CpuProfile, PROBE_SOCKET, type ProbeCounts, threadFileOf } from './probe-messages.js';

const PROBE = new URL('./probe.js', import.meta.url).href;
const DRIVE = 'budget';

/** Threads of the process, by what they do. */
export const THREAD_KINDS = ['main', 'pool', 'seal', 'open', 'other'] as const;

/** `pool`: Node's, which reads and writes the store; `other`: V8's and RocksDB's own. */
export type ThreadKind = (typeof THREAD_KINDS)[number];

/** What the process has done since it began. */
export interface Counters {
  /** Requests of the kernel. */
  requests: Record<string, number>;
  bytesRead: number;
  bytesWritten: number;
  waits: ProbeCounts;
  /** Processor time of each thread, in milliseconds, by its number. */
  threadMs: Map<number, number>;
}

/** Processor time by kind of thread, in milliseconds. */
export type ThreadTimes = Record<ThreadKind, number>;

export class WatchedMount {
  readonly mount: DriveMount;
  readonly store: string;
  readonly #machine: Machine;
  readonly #socket: string;
  #poolThreads = new Set<number>();

  private constructor(machine: Machine, mount: DriveMount, socket: string) {
    this.#machine = machine;
    this.mount = mount;
    this.#socket = socket;
    this.store = path.join(machine.home, 'drives', DRIVE, 'store');
  }

  /** Makes a drive below `folder` and mounts it, offline. */
  static async start(folder: string): Promise<WatchedMount> {
    const machine = new Machine({ parent: folder });
    const socket = path.join(machine.folder, 'probe');
    try {
      await machine.shoal('create', DRIVE);
      // Inherited by the mount's process, and there by its threads.
      process.env[PROBE_SOCKET] = socket;
      process.env.NODE_OPTIONS = `--import ${PROBE}`;
      const mount = await machine.mount(DRIVE, ['--offline']);
      const watched = new WatchedMount(machine, mount, socket);
      watched.#poolThreads = new Set((await watched.#ask('threads')) as number[]);
      return watched;
    } catch (error) {
      await machine.close();
      throw error;
    } finally {
      delete process.env[PROBE_SOCKET];
      delete process.env.NODE_OPTIONS;
    }
  }

  async counters(): Promise<Counters> {
    const status = (await askMounted(this.mount, 'status')) as {
      requests: {
        requestsByOperation: Record<string, number>;
        bytesRead: number;
        bytesWritten: number;
      };
    };
    const { requestsByOperation, bytesRead, bytesWritten } = status.requests;
    return {
      requests: requestsByOperation,
      bytesRead,
      bytesWritten,
      waits: (await this.#ask('counts')) as ProbeCounts,
      threadMs: this.#threadMs(),
    };
  }

  /** Processor time between two looks. */
  threadTimes(before: Counters, after: Counters): ThreadTimes {
    const names = this.#threadNames();
    const times: ThreadTimes = { main: 0, pool: 0, seal: 0, open: 0, other: 0 };
    for (const [tid, ms] of after.threadMs) {
      times[this.#kindOf(tid, names)] += ms - (before.threadMs.get(tid) ?? 0);
    }
    return times;
  }

  async startProfile(): Promise<void> {
    await this.#ask('start');
  }

  async stopProfile(): Promise<CpuProfile> {
    const { profile } = (await this.#ask('stop')) as { profile: CpuProfile };
    return profile;
  }

  close(): Promise<void> {
    return this.#machine.close();
  }

  #kindOf(tid: number, names: ReadonlyMap<number, string>): ThreadKind {
    if (tid === this.mount.pid) return 'main';
    if (this.#poolThreads.has(tid)) return 'pool';
    const program = names.get(tid) ?? '';
    if (program.includes('seal-thread')) return 'seal';
    return program.includes('open-thread') ? 'open' : 'other';
  }

  #threadNames(): Map<number, string> {
    const names = new Map<number, string>();
    for (const line of readIfThere(threadFileOf(this.#socket)).split('\n')) {
      const [tid = '', ...program] = line.split(' ');
      if (tid !== '') names.set(Number(tid), program.join(' '));
    }
    return names;
  }

  #threadMs(): Map<number, number> {
    const times = new Map<number, number>();
    const tasks = `/proc/${this.mount.pid}/task`;
    for (const tid of readdirSync(tasks)) {
      // Nanoseconds on a processor come first. A thread may have ended since.
      const ns = Number(readIfThere(`${tasks}/${tid}/schedstat`).split(' ')[0]);
      times.set(Number(tid), ns / 1e6);
    }
    return times;
  }

  /** One command, one answer. */
  #ask(command: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(this.#socket);
      const pieces: string[] = [];
      socket.setEncoding('utf8');
      socket.on('error', reject);
      socket.on('close', () => reject(new Error(`The probe did not answer '${command}'`)));
      socket.on('data', (text: string) => {
        pieces.push(text);
        if (!text.endsWith('\n')) return;
        resolve(JSON.parse(pieces.join('')));
        socket.destroy();
      });
      socket.write(`${command}\n`);
    });
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return '';
    throw error;
  }
}

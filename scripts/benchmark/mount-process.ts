/** The process behind a FUSE mount, and its memory. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

/**
 * The process that serves the FUSE file system of a directory, or null. Newer kernels tell which connection an open
 * /dev/fuse belongs to, and that is the device number of the mount; else the process is the parent of the fusermount3
 * that waits to unmount it.
 */
export function findMountProcess(directory: string): number | null {
  const device = statSync(directory).dev;
  const mountPoint = mountPointOf(device);
  if (mountPoint === null) return null;
  for (const pid of processes()) {
    if (connections(pid).includes(device)) return pid;
  }
  for (const pid of processes()) {
    const words = read(`/proc/${pid}/cmdline`).split('\0');
    if (words[0]?.endsWith('fusermount3') !== true || words.at(-2) !== mountPoint) continue;
    return Number(/^PPid:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1]);
  }
  return null;
}

/** Bytes of memory that are resident now, and 0 when the process has ended. */
export function residentBytes(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
}

/** Watches the resident memory of a process. */
export class MemorySampler {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  #peak = 0;

  constructor(pid: number, intervalMs = 50) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#sample(), intervalMs);
    this.#sample();
  }

  get peakBytes(): number {
    return this.#peak;
  }

  stop(): void {
    this.#sample();
    clearInterval(this.#timer);
  }

  #sample(): void {
    this.#peak = Math.max(this.#peak, residentBytes(this.#pid));
  }
}

/** Where a FUSE file system with this device number is mounted. */
function mountPointOf(device: number): string | null {
  for (const line of read('/proc/self/mountinfo').split('\n')) {
    const [, , numbers, , mountPoint, ...rest] = line.split(' ');
    const type = rest[rest.indexOf('-') + 1] ?? '';
    const [major = -1, minor = -1] = (numbers ?? '').split(':').map(Number);
    if (!type.startsWith('fuse') || major !== 0 || minor !== device) continue;
    return (mountPoint ?? '').replace(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
  }
  return null;
}

function processes(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

/** The FUSE connections a process has open. */
function connections(pid: number): number[] {
  const found: number[] = [];
  for (const fd of list(`/proc/${pid}/fd`)) {
    if (link(`/proc/${pid}/fd/${fd}`) !== '/dev/fuse') continue;
    const match = /^fuse_connection:\s+(\d+)/m.exec(read(`/proc/${pid}/fdinfo/${fd}`));
    if (match !== null) found.push(Number(match[1]));
  }
  return found;
}

const read = (file: string) => gone(() => readFileSync(file, 'latin1'), '');
const link = (file: string) => gone(() => readlinkSync(file), '');
const list = (directory: string) => gone(() => readdirSync(directory), []);

/** A process may end, or belong to somebody else, while it is looked at. */
function gone<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(code)) return otherwise;
    throw error;
  }
}

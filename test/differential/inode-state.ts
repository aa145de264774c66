/** What is compared of one inode. */
import { type BigIntStats, closeSync, fstatSync, lstatSync, openSync } from 'node:fs';
import { lseek, SEEK_CUR, SEEK_DATA, SEEK_SET } from '../support/syscalls.js';
import { LEGITIMATE_DIFFERENCES } from './legitimate-differences.js';
import type { StepClock } from './step-clock.js';

/** Times before this one were set, later ones come from the clock. In nanoseconds: the year 2020. */
const CLOCK_MADE_NS = 1_577_836_800_000_000_000n;

/** One value of each kind; the names are those of the table of differences. */
export interface InodeState {
  mode: number;
  owner: string;
  links: number;
  size: bigint;
  'modification time': bigint;
  'change time': bigint;
  'access time': bigint;
  'allocated blocks': bigint;
  device: bigint;
  /** Not compared as such. */
  readonly stat: BigIntStats;
  /** Of a regular file: no byte of it is data. Makes the kernel write out what it holds of the file. */
  readonly isHole: () => boolean;
}

export type Field = Exclude<keyof InodeState, 'stat' | 'isHole'>;

const FIELDS: readonly Field[] = [
  'mode',
  'owner',
  'links',
  'size',
  'modification time',
  'change time',
  'access time',
  'allocated blocks',
  'device',
];

/** The state of an inode by its path (of a symbolic link itself) or by a descriptor. */
export function stateOf(file: Buffer | number): InodeState {
  const stat =
    typeof file === 'number'
      ? fstatSync(file, { bigint: true })
      : lstatSync(file, { bigint: true });
  return {
    mode: Number(stat.mode),
    owner: `${stat.uid}:${stat.gid}`,
    links: Number(stat.nlink),
    size: stat.size,
    'modification time': stat.mtimeNs,
    'change time': stat.ctimeNs,
    'access time': stat.atimeNs,
    'allocated blocks': stat.blocks,
    device: stat.rdev,
    stat,
    isHole: () => isHole(file),
  };
}

function isHole(file: Buffer | number): boolean {
  const fd = typeof file === 'number' ? file : openSync(file, 'r');
  const position = typeof file === 'number' ? lseek(fd, 0, SEEK_CUR) : 0;
  try {
    lseek(fd, 0, SEEK_DATA);
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENXIO') return true;
    throw error;
  } finally {
    if (typeof file === 'number') lseek(fd, position, SEEK_SET);
    else closeSync(fd);
  }
}

/**
 * In words, what differs beyond what may differ. `what` names the inode; `settled` says that the kernel holds nothing
 * of the mount which it has not handed over.
 */
export function differencesOfInodes(
  what: string,
  plain: InodeState,
  mounted: InodeState,
  clock: StepClock,
  settled: boolean,
): string[] {
  const found: string[] = [];
  for (const field of FIELDS) {
    if (sameValue(field, plain, mounted, clock)) continue;
    const accepted = LEGITIMATE_DIFFERENCES.some(
      (one) => one.fields.includes(field) && one.accepts(plain, mounted, settled),
    );
    if (accepted) continue;
    const [wanted, got] = [plain, mounted].map((state) => shownValue(field, state, clock));
    found.push(`${what}: ${field} is ${got}, expected ${wanted}`);
  }
  return found;
}

function sameValue(
  field: Field,
  plain: InodeState,
  mounted: InodeState,
  clock: StepClock,
): boolean {
  if (plain[field] === mounted[field]) return true;
  if (field !== 'modification time' && field !== 'change time') return false;
  const [a, b] = [plain[field], mounted[field]];
  return a > CLOCK_MADE_NS && b > CLOCK_MADE_NS && clock.sameStep(a, b);
}

function shownValue(field: Field, state: InodeState, clock: StepClock): string {
  const value = state[field];
  if (field === 'mode') return value.toString(8);
  if (field.endsWith(' time') && (value as bigint) > CLOCK_MADE_NS) {
    return clock.describe(value as bigint);
  }
  return String(value);
}

/** Like {@link stateOf}; undefined for a path that leads nowhere. */
export function stateOrNone(file: Buffer | number): InodeState | undefined {
  try {
    return stateOf(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const nowhere = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP'];
    if (code === undefined || !nowhere.includes(code)) throw error;
    return undefined;
  }
}

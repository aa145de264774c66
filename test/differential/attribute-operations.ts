/** Operations on attributes and extended attributes. */
import {
  chmodSync,
  chownSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  lchownSync,
  type Stats,
  statSync,
} from 'node:fs';
import { SOMEBODY, SOMEBODY_ELSE } from '../support/other-user.js';
import type { SeededRandom } from '../support/seeded-random.js';
import { futimens, type TimeSpec, UTIME_NOW, UTIME_OMIT, utimensat } from '../support/syscalls.js';
import {
  getxattr,
  lgetxattr,
  listxattr,
  llistxattr,
  lremovexattr,
  lsetxattr,
  removexattr,
  setxattr,
  XATTR_CREATE,
  XATTR_REPLACE,
} from '../support/xattr.js';
import { type Choices, type Maker, onFile, onPaths } from './operation.js';
import { outcomeOf } from './side.js';

/** 4294967295 leaves it as it is. */
const OWNERS = [0, SOMEBODY, SOMEBODY_ELSE, 2 ** 32 - 1];
/** Times are set in this second and later ones, long before any that the clock makes. */
const LONG_AGO_SEC = 1_000_000_000;
const LONG_AGO_SECONDS = 100_000_000;

const XATTR_NAMES = [
  'user.a',
  'user.a',
  'user.a',
  'user.a',
  'user.b',
  'user.b',
  `user.${'n'.repeat(250)}`,
  'trusted.t',
  'security.shoal',
  'user.',
  'nothing.x',
  'system.unknown',
];

function someMode(random: SeededRandom): number {
  return random.below(3) === 0 ? random.below(0o10000) : 0o700 | random.below(0o100);
}

const chmod: Maker = ({ random, path }) => {
  const mode = someMode(random);
  return onPaths('chmod', [path()], [mode.toString(8)], (file) => chmodSync(file, mode));
};

const fchmod: Maker = ({ random, slot }) => {
  const mode = someMode(random);
  return onFile('fchmod', slot(), [mode.toString(8)], (fd) => fchmodSync(fd, mode));
};

const chown: Maker = ({ random, path }) => {
  const [uid, gid] = [random.pick(OWNERS), random.pick(OWNERS)];
  return onPaths('chown', [path()], [uid, gid], (file) => chownSync(file, uid, gid));
};

const lchown: Maker = ({ random, path }) => {
  const [uid, gid] = [random.pick(OWNERS), random.pick(OWNERS)];
  return onPaths('lchown', [path()], [uid, gid], (file) => lchownSync(file, uid, gid));
};

const fchown: Maker = ({ random, slot }) => {
  const [uid, gid] = [random.pick(OWNERS), random.pick(OWNERS)];
  return onFile('fchown', slot(), [uid, gid], (fd) => fchownSync(fd, uid, gid));
};

function someTime(random: SeededRandom): TimeSpec {
  const special = random.below(8);
  if (special === 0) return { sec: 0, nsec: UTIME_NOW };
  if (special === 1) return { sec: 0, nsec: UTIME_OMIT };
  return { sec: LONG_AGO_SEC + random.below(LONG_AGO_SECONDS), nsec: random.below(1_000_000_000) };
}

const timeText = ({ sec, nsec }: TimeSpec) =>
  nsec === UTIME_NOW ? 'now' : nsec === UTIME_OMIT ? 'omit' : `${sec}.${nsec}`;

const utimens: Maker = ({ random, path }) => {
  const [atime, mtime, follow] = [someTime(random), someTime(random), random.below(2) === 0];
  const details = [timeText(atime), timeText(mtime), follow ? '' : 'of the link'];
  return onPaths('utimensat', [path()], details, (file) => utimensat(file, atime, mtime, follow));
};

const futime: Maker = ({ random, slot }) => {
  const [atime, mtime] = [someTime(random), someTime(random)];
  const details = [timeText(atime), timeText(mtime)];
  return onFile('futimens', slot(), details, (fd) => futimens(fd, atime, mtime));
};

/** All values of an inode fit into the one block that ext4 has for them. */
const setExtended: Maker = ({ random, path }) => {
  const name = random.pick(XATTR_NAMES);
  const value = random.bytes(random.pick([0, 1, 20, 300]));
  const flags = random.pick([0, 0, XATTR_CREATE, XATTR_REPLACE]);
  const follow = random.below(3) > 0;
  const details = [name.slice(0, 20), value.length, `flags ${flags}`, follow ? '' : 'of the link'];
  return onPaths('setxattr', [path()], details, (file) => {
    const get = follow ? getxattr : lgetxattr;
    if (outcomeOf(() => get(file, name).equals(value)) === 'ok true') return 'same value';
    return (follow ? setxattr : lsetxattr)(file, name, value, flags);
  });
};

const getExtended: Maker = ({ random, path }) => {
  const name = random.pick(XATTR_NAMES);
  const follow = random.below(3) > 0;
  return onPaths('getxattr', [path()], [name.slice(0, 20)], (file) =>
    (follow ? getxattr : lgetxattr)(file, name).toString('hex'),
  );
};

const removeExtended: Maker = ({ random, path }) => {
  const name = random.pick(XATTR_NAMES);
  const follow = random.below(3) > 0;
  return onPaths('removexattr', [path()], [name.slice(0, 20)], (file) =>
    (follow ? removexattr : lremovexattr)(file, name),
  );
};

const listExtended: Maker = ({ random, path }) => {
  const follow = random.below(3) > 0;
  return onPaths('listxattr', [path()], [], (file) =>
    (follow ? listxattr : llistxattr)(file).join(),
  );
};

const status: Maker = ({ path }) =>
  onPaths('stat', [path()], [], (file) => figures(statSync(file)));

const fileStatus: Maker = ({ slot }) => onFile('fstat', slot(), [], (fd) => figures(fstatSync(fd)));

function figures(stat: Stats): string {
  const size = stat.isDirectory() ? 'directory' : stat.size;
  return [stat.mode.toString(8), stat.uid, stat.gid, stat.nlink, size].join(' ');
}

const changesOwners = ({ root }: Choices, make: Maker, other: Maker) => (root ? make : other);

/** Each with how often it comes up. */
export const attributeOperations: readonly [Maker, number][] = [
  [chmod, 5],
  [fchmod, 2],
  [(choices) => changesOwners(choices, chown, chmod)(choices), 4],
  [(choices) => changesOwners(choices, lchown, chmod)(choices), 2],
  [(choices) => changesOwners(choices, fchown, fchmod)(choices), 2],
  [utimens, 8],
  [futime, 4],
  [setExtended, 8],
  [getExtended, 3],
  [removeExtended, 6],
  [listExtended, 2],
  [status, 4],
  [fileStatus, 4],
];

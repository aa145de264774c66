/** Operations on names, and on open files as such. */
import {
  accessSync,
  constants,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import {
  link,
  linkOpenFile,
  mknod,
  O_TMPFILE,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  rename,
} from '../support/syscalls.js';
import { type Choices, type Maker, type Operation, onPaths, shown } from './operation.js';
import { outcomeOf } from './side.js';

const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND } = constants;
const { O_NOFOLLOW, O_DIRECTORY, O_SYNC, O_NONBLOCK } = constants;
const S_IFIFO = 0o010000;
const S_IFSOCK = 0o140000;

/** Modes that owner and group can mostly use, some with special bits. */
const MODES = [0o644, 0o600, 0o666, 0o755, 0o777, 0o4755, 0o2755, 0o2644, 0o6777, 0o400, 0o000];
const DIRECTORY_MODES = [0o755, 0o755, 0o777, 0o1777, 0o2775, 0o700, 0o555];

const OPEN_FLAGS: readonly [string, number][] = [
  ['O_RDONLY', O_RDONLY],
  ['O_RDWR', O_RDWR],
  ['O_RDWR', O_RDWR],
  ['O_RDWR|O_CREAT', O_RDWR | O_CREAT],
  ['O_RDWR|O_CREAT', O_RDWR | O_CREAT],
  ['O_RDWR|O_CREAT|O_EXCL', O_RDWR | O_CREAT | O_EXCL],
  ['O_RDWR|O_CREAT|O_TRUNC', O_RDWR | O_CREAT | O_TRUNC],
  ['O_WRONLY|O_CREAT|O_APPEND', O_WRONLY | O_CREAT | O_APPEND],
  ['O_RDWR|O_APPEND', O_RDWR | O_APPEND],
  ['O_RDWR|O_TRUNC', O_RDWR | O_TRUNC],
  ['O_RDONLY|O_TRUNC', O_RDONLY | O_TRUNC],
  ['O_RDWR|O_NOFOLLOW', O_RDWR | O_NOFOLLOW],
  ['O_RDONLY|O_DIRECTORY', O_RDONLY | O_DIRECTORY],
  ['O_RDWR|O_CREAT|O_SYNC', O_RDWR | O_CREAT | O_SYNC],
];

/** Opens into a slot. */
function opening(
  name: string,
  slot: number,
  path: string,
  details: readonly unknown[],
  open: (absolute: Buffer) => number,
): Operation {
  return {
    text: [name, `#${slot}`, shown(path), ...details].join(' '),
    paths: [path],
    slots: [slot],
    run: (side) =>
      outcomeOf(() => {
        side.setFile(slot, undefined);
        side.setFile(slot, open(side.path(path)));
      }),
  };
}

const open: Maker = (choices) => {
  const [text, flags] = choices.random.pick(OPEN_FLAGS);
  const mode = choices.random.pick(MODES);
  return opening('open', choices.freeSlot(), choices.path(), [text, octal(mode)], (path) =>
    // Opening a fifo must not wait for the other end.
    openSync(path, flags | O_NONBLOCK, mode),
  );
};

const temporaryFile: Maker = (choices) => {
  const exclusive = choices.random.below(4) === 0 ? O_EXCL : 0;
  const mode = choices.random.pick(MODES);
  const name = exclusive === 0 ? 'O_TMPFILE' : 'O_TMPFILE|O_EXCL';
  return opening(name, choices.freeSlot(), choices.directory(), [octal(mode)], (path) =>
    openSync(path, O_TMPFILE | O_RDWR | exclusive, mode),
  );
};

/** Gives the file in a slot a name, whether it had one, has none yet, or has none any more. */
const linkOpen: Maker = (choices) => {
  const [slot, to] = [choices.slot(), choices.path()];
  return {
    text: `linkat #${slot} ${shown(to)}`,
    paths: [to],
    slots: [slot],
    run: (side) => {
      const fd = side.file(slot);
      if (fd === undefined) return 'not open';
      return outcomeOf(() => linkOpenFile(fd, side.path(to)));
    },
  };
};

const close: Maker = ({ slot }) => {
  const closed = slot();
  return {
    text: `close #${closed}`,
    paths: [],
    slots: [],
    run: (side) => outcomeOf(() => side.setFile(closed, undefined)),
  };
};

const RENAME_FLAGS: readonly [string, number][] = [
  ['', 0],
  ['', 0],
  ['', 0],
  ['NOREPLACE', RENAME_NOREPLACE],
  ['EXCHANGE', RENAME_EXCHANGE],
  ['NOREPLACE|EXCHANGE', RENAME_NOREPLACE | RENAME_EXCHANGE],
];

const move: Maker = (choices) => {
  const [text, flags] = choices.random.pick(RENAME_FLAGS);
  return onPaths('rename', [choices.path(), choices.path()], [text], (from, to) =>
    rename(from, to, flags),
  );
};

/** A name beside the other one: a cycle, a directory over its own parent, a file over its own link. */
const moveNearby: Maker = (choices) => {
  const from = choices.path();
  const [text, flags] = choices.random.pick(RENAME_FLAGS);
  const to = choices.random.pick([`${from}/a`, `${from}/a/b`, from, from.replace(/\/[^/]*$/, '')]);
  return onPaths('rename', [from, to], [text], (a, b) => rename(a, b, flags));
};

/** A directory over another one, or in exchange with it. */
const moveDirectory: Maker = (choices) => {
  const [text, flags] = choices.random.pick(RENAME_FLAGS);
  return onPaths('rename', [choices.directory(), choices.directory()], [text], (from, to) =>
    rename(from, to, flags),
  );
};

const makeDirectory: Maker = (choices) => {
  const mode = choices.random.pick(DIRECTORY_MODES);
  return onPaths('mkdir', [choices.path()], [octal(mode)], (path) => {
    mkdirSync(path, { mode });
  });
};

const makeNode: Maker = (choices) => {
  const [name, type] = choices.random.pick([
    ['mkfifo', S_IFIFO],
    ['mknod socket', S_IFSOCK],
  ] as const);
  const mode = choices.random.pick(MODES);
  return onPaths(name, [choices.path()], [octal(mode)], (path) => mknod(path, type | mode));
};

/** At most one step up, so that nothing leads out of what is compared. */
const TARGETS = ['a', 'b', 'a/b', './c', '../a', 'c/../b', 'nowhere', 'a/', `${'t'.repeat(300)}`];

const makeSymlink: Maker = (choices) => {
  const target = choices.random.pick(TARGETS);
  return onPaths('symlink', [choices.path()], [shown(target)], (path) => symlinkSync(target, path));
};

const makeLink: Maker = (choices) => {
  const follow = choices.random.below(3) === 0;
  const details = follow ? ['following'] : [];
  return onPaths('link', [choices.path(), choices.path()], details, (from, to) =>
    follow ? link(from, to, true) : linkSync(from, to),
  );
};

const list: Maker = (choices) =>
  onPaths('readdir', [choices.path()], [], (path) =>
    readdirSync(path, { encoding: 'latin1' as BufferEncoding })
      .sort()
      .map(shown)
      .join(),
  );

/** Many names in a directory, so that listing it takes several calls. */
const fill: Maker = (choices) => {
  const count = 1 + choices.random.below(60);
  return onPaths('fill', [choices.directory()], [count], (path) => {
    for (let i = 0; i < count; i++) {
      const name = Buffer.concat([path, Buffer.from(`/n${i}`)]);
      outcomeOf(() => mknod(name, 0o100644));
    }
  });
};

const empty: Maker = (choices) =>
  onPaths('remove some of', [choices.directory()], [], (path) => {
    for (const name of readdirSync(path).sort()) {
      if (/^n\d*[02468]$/.test(name)) unlinkSync(Buffer.concat([path, Buffer.from(`/${name}`)]));
    }
  });

const removeAll: Maker = (choices) => {
  const path = choices.directory();
  return path === '.'
    ? close(choices)
    : onPaths('remove all of', [path], [], (directory) => removeTree(directory));
};

/** In the order of the names, so that both sides end alike when something cannot be removed. */
function removeTree(directory: Buffer): void {
  for (const name of readdirSync(directory, { encoding: 'buffer' }).sort(Buffer.compare)) {
    const path = Buffer.concat([directory, Buffer.from('/'), name]);
    if (outcomeOf(() => unlinkSync(path)) === 'EISDIR') removeTree(path);
  }
  rmdirSync(directory);
}

const readLink: Maker = ({ path }) =>
  onPaths('readlink', [path()], [], (link) => readlinkSync(link, 'latin1'));

const access: Maker = ({ random, path }) => {
  const mode = random.below(8);
  return onPaths('access', [path()], [mode], (file) => accessSync(file, mode));
};

const remove = (name: string, call: (path: Buffer) => void) => (choices: Choices) =>
  onPaths(name, [choices.path()], [], call);

/** Each with how often it comes up. */
export const nameOperations: readonly [Maker, number][] = [
  [open, 22],
  [temporaryFile, 3],
  [linkOpen, 4],
  [close, 6],
  [move, 16],
  [moveNearby, 3],
  [moveDirectory, 8],
  [makeDirectory, 16],
  [makeNode, 3],
  [makeSymlink, 6],
  [makeLink, 9],
  [remove('unlink', (path) => unlinkSync(path)), 10],
  [remove('rmdir', (path) => rmdirSync(path)), 6],
  [removeAll, 1],
  [fill, 2],
  [empty, 2],
  [list, 3],
  [readLink, 2],
  [access, 2],
];

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

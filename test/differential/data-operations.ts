/** Operations on the content of files. */
import { createHash } from 'node:crypto';
import {
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { MemoryMap } from '../support/memory-map.js';
import { randomBytes } from '../support/random-bytes.js';
import type { SeededRandom } from '../support/seeded-random.js';
import {
  copyFileRange,
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  FALLOC_ZERO_RANGE,
  fallocate,
  truncate,
} from '../support/syscalls.js';
import { type Choices, type Maker, onFile, onPaths } from './operation.js';
import { outcomeOf } from './side.js';

/** No file grows beyond this, so that all can be compared again and again. */
const FILE_BYTES_MAX = 3 << 20;
const POOL = randomBytes(2 << 20, 77);

/** Some bytes of the pool: the same stretches come up again, so deduplication has something to find. */
interface Data {
  start: number;
  length: number;
}

function data(random: SeededRandom): Data {
  const length = someLength(random);
  const start = random.below(8) * 4099;
  return { start, length: Math.min(length, POOL.length - start) };
}

function bytesOf({ start, length }: Data): Buffer {
  return POOL.subarray(start, start + length);
}

/** Around the sizes where something changes: inline files, pages, chunks, segments. */
function someLength(random: SeededRandom): number {
  const most = random.pick([1, 12, 900, 5000, 5000, 70_000, 70_000, 300_000, 1_500_000]);
  return random.below(most + 1);
}

function someOffset(random: SeededRandom): number {
  const most = random.pick([1, 900, 9000, 100_000, 100_000, FILE_BYTES_MAX >> 1]);
  const offset = random.below(most);
  return random.below(3) === 0 ? offset & ~4095 : offset;
}

function fileChange(
  name: string,
  make: (random: SeededRandom) => { details: unknown[]; call: (fd: number) => unknown },
): Maker {
  return ({ random, slot }) => {
    const { details, call } = make(random);
    return onFile(name, slot(), details, call);
  };
}

const allocation = (name: string, mode: number): Maker =>
  fileChange(name, (random) => {
    const [offset, length] = [someOffset(random), someLength(random)];
    return {
      details: [offset, length],
      call: (fd) => fallocate(fd, mode, offset, length),
    };
  });

const pwrite = fileChange('pwrite', (random) => {
  const [offset, content] = [someOffset(random), data(random)];
  return {
    details: [offset, content.length, `of ${content.start}`],
    call: (fd) => writeSync(fd, bytesOf(content), 0, content.length, offset),
  };
});

const write = fileChange('write', (random) => {
  const content = data(random);
  return {
    details: [content.length, `of ${content.start}`],
    // An O_APPEND file would grow without end.
    call: (fd) => (fstatSync(fd).size > FILE_BYTES_MAX ? 'full' : writeSync(fd, bytesOf(content))),
  };
});

const append = fileChange('append', (random) => {
  const content = data(random);
  return {
    details: [content.length, `of ${content.start}`],
    call: (fd) => {
      const { size } = fstatSync(fd);
      if (size > FILE_BYTES_MAX) return 'full';
      return writeSync(fd, bytesOf(content), 0, content.length, size);
    },
  };
});

const writeZeros = fileChange('write zeros', (random) => {
  const [offset, length] = [someOffset(random), someLength(random)];
  return {
    details: [offset, length],
    call: (fd) => writeSync(fd, Buffer.alloc(length), 0, length, offset),
  };
});

const read = fileChange('read', (random) => {
  const [offset, length] = [someOffset(random), someLength(random)];
  return {
    details: [offset, length],
    call: (fd) => {
      const buffer = Buffer.alloc(length);
      return digest(buffer.subarray(0, readSync(fd, buffer, 0, length, offset)));
    },
  };
});

const resize = fileChange('ftruncate', (random) => {
  const size = someOffset(random);
  return { details: [size], call: (fd) => ftruncateSync(fd, size) };
});

/** By a few bytes, or not at all. */
const nudge = fileChange('ftruncate by', (random) => {
  const by = random.below(9) - 4;
  return {
    details: [by],
    call: (fd) => ftruncateSync(fd, Math.max(0, fstatSync(fd).size + by)),
  };
});

const truncatePath: Maker = ({ random, path }) => {
  const size = someOffset(random);
  return onPaths('truncate', [path()], [size], (file) => {
    // Whether the times change when the size does not is left open.
    if (outcomeOf(() => statSync(file).size) === `ok ${size}`) return 'same size';
    return truncate(file, size);
  });
};

const writeWhole: Maker = ({ random, path }) => {
  const content = data(random);
  return onPaths('write file', [path()], [content.length, `of ${content.start}`], (file) =>
    // Opening a fifo would wait for its reader.
    writeFileSync(file, bytesOf(content), { flag: NONBLOCKING_WRITE }),
  );
};

/** O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK. */
const NONBLOCKING_WRITE = (0o1 | 0o100 | 0o1000 | 0o4000) as unknown as string;

const mappedWrite = fileChange('mapped write', (random) => {
  const [offset, content, sync] = [someOffset(random), data(random), random.below(2) === 0];
  return {
    details: [offset, content.length, `of ${content.start}`, sync ? 'msync' : ''],
    call: (fd) => writeMapped(fd, offset, bytesOf(content), sync),
  };
});

/** Writes what of it lies within the file: touching a page behind the end kills the process. */
function writeMapped(fd: number, offset: number, bytes: Buffer, sync: boolean): string {
  const stat = fstatSync(fd);
  if (!stat.isFile() || stat.size <= offset) return 'beyond the end';
  const map = MemoryMap.ofFile(fd, stat.size, { shared: true, writable: true });
  const kept = bytes.subarray(0, stat.size - offset);
  const before = digest(map.read(offset, kept.length));
  map.write(offset, kept);
  if (sync) map.sync();
  map.close();
  return before;
}

const copy = (choices: Choices) => {
  const { random } = choices;
  const [from, to] = [choices.slot(), choices.slot()];
  const [offset, length] = [someOffset(random), someLength(random)];
  const target = someOffset(random);
  return {
    ...onFile('copy_file_range', to, [target, `from #${from}`, offset, length], () => undefined),
    run: copyRun(from, offset, to, target, length),
  };
};

function copyRun(from: number, offset: number, to: number, target: number, length: number) {
  const { run } = onFile('', to, [], () => undefined);
  return (side: Parameters<typeof run>[0]): string => {
    const source = side.file(from);
    const copying = onFile('', to, [], (fd) =>
      source === undefined ? 'not open' : copyAll(source, offset, fd, target, length),
    );
    return copying.run(side);
  };
}

/** A copy may be short: it is asked again until nothing comes. */
function copyAll(from: number, offset: number, to: number, target: number, length: number): number {
  let done = 0;
  for (;;) {
    const copied = copyFileRange(from, offset + done, to, target + done, length - done);
    done += copied;
    if (copied === 0 || done === length) return done;
  }
}

const sync = fileChange('fsync', () => ({ details: [], call: (fd) => fsyncSync(fd) }));
const syncData = fileChange('fdatasync', () => ({ details: [], call: (fd) => fdatasyncSync(fd) }));

/** Each with how often it comes up. */
export const dataOperations: readonly [Maker, number][] = [
  [pwrite, 10],
  [write, 5],
  [append, 5],
  [writeZeros, 2],
  [writeWhole, 10],
  [read, 6],
  [resize, 4],
  [nudge, 3],
  [truncatePath, 3],
  [allocation('punch hole', FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE), 4],
  [allocation('zero range', FALLOC_ZERO_RANGE), 2],
  [allocation('zero range within', FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE), 2],
  [allocation('allocate', 0), 2],
  [allocation('allocate within', FALLOC_KEEP_SIZE), 2],
  [mappedWrite, 6],
  [copy, 5],
  [sync, 2],
  [syncData, 1],
];

function digest(bytes: Buffer): string {
  return `${bytes.length}:${createHash('sha1').update(bytes).digest('hex').slice(0, 12)}`;
}

import { createHash } from 'node:crypto';
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'brittle';
import { command } from '../support/command.js';
import type { DriveMount } from '../support/drive-mount.js';
import { SHARING_TIME, SharedDrive, settled, statusOf } from './support/shared-drive.js';
import { contentAt, writeContent } from './support/stream-content.js';

const MIB = 1 << 20;
const LARGE_BYTES = 256 * MIB;
const LARGE_SEED = 1;

test(
  'a reader - lists and stats without file data, and fetches only what it reads',
  SHARING_TIME,
  async (t) => {
    const drive = await SharedDrive.forTest(t, { here: true });
    const { origin } = drive;
    writeContent(join(origin.directory, 'large'), LARGE_SEED, LARGE_BYTES);
    for (let i = 0; i < 20; i++) {
      mkdirSync(join(origin.directory, `directory-${i}`));
      for (let j = 0; j < 10; j++) {
        writeFileSync(
          join(origin.directory, `directory-${i}`, `file-${j}`),
          contentAt(2, 16 * j, 5000 + i),
        );
      }
    }
    symlinkSync('directory-1/file-1', join(origin.directory, 'link'));
    await origin.commit();

    const beganMs = performance.now();
    const reader = await drive.addReader();
    t.comment(`mounted after ${Math.round(performance.now() - beganMs)} ms`);
    await command('ls', ['-lR', reader.directory]);
    t.comment(`listed after ${Math.round(performance.now() - beganMs)} ms`);
    t.alike(describe(reader.directory), describe(origin.directory));
    const listed = await statusOf(reader);
    t.is(listed.downloadedBlocks, 0, 'no chunk was fetched');
    t.is(listed.downloadedBytes, 0);

    await t.test('1 MiB out of the middle', async (t) => {
      const at = LARGE_BYTES / 2;
      const bytes = await fetchedBy(reader, () => {
        t.ok(
          readAt(join(reader.directory, 'large'), at, MIB).equals(contentAt(LARGE_SEED, at, MIB)),
        );
      });
      t.comment(`fetched ${bytes} bytes`);
      t.ok(bytes >= MIB, 'the data came over the network');
      t.ok(bytes < 4 * MIB, `fetched ${bytes} bytes`);
    });

    await t.test('1 MiB in small steps', async (t) => {
      const before = await settled(reader);
      // Around the kernel's own read-ahead, which differs from system to system.
      const hash = await hashOfPart(reader, LARGE_BYTES / 4, MIB, ['iflag=direct']);
      t.is(hash, hashOf(contentAt(LARGE_SEED, LARGE_BYTES / 4, MIB)));
      const bytes = (await statusOf(reader)).downloadedBytes - before.downloadedBytes;
      t.comment(`fetched ${bytes} bytes`);
      t.ok(bytes < 4 * MIB, `fetched ${bytes} bytes`);
    });

    await t.test('4 KiB here and there', async (t) => {
      const bytes = await fetchedBy(reader, () => {
        for (let i = 1; i <= 8; i++) {
          const at = i * 11 * MIB;
          t.ok(
            readAt(join(reader.directory, 'large'), at, 4096).equals(
              contentAt(LARGE_SEED, at, 4096),
            ),
          );
        }
      });
      t.comment(`fetched ${bytes} bytes`);
      t.ok(bytes < 8 * MIB, `fetched ${bytes} bytes`);
    });

    await t.test('what was read is not fetched again', async (t) => {
      const at = LARGE_BYTES / 2;
      // Other tests empty the kernel's caches, at any time: then it reads anew, in other pieces, and these are read ahead of.
      // So what lies behind is here, too, and the kernel's cache is passed by in any case.
      readAt(join(reader.directory, 'large'), at, 4 * MIB);
      const { requests } = await statusOf(reader);
      // Nothing that was read ahead for that may come late, however slow the machine is: there is nobody who sends it.
      process.kill(origin.pid, 'SIGSTOP');
      t.teardown(() => process.kill(origin.pid, 'SIGCONT'), { order: -1 });
      const bytes = await fetchedBy(reader, async () => {
        const hash = await hashOfPart(reader, at, MIB, ['iflag=direct']);
        t.is(hash, hashOf(contentAt(LARGE_SEED, at, MIB)));
      });
      process.kill(origin.pid, 'SIGCONT');
      t.is(bytes, 0);
      const { bytesRead } = (await statusOf(reader)).requests;
      t.ok(bytesRead >= requests.bytesRead + MIB, 'the kernel did ask for it');
    });

    await t.test('two programs stream from the start and from three quarters on', async (t) => {
      const length = 16 * MIB;
      const from = (LARGE_BYTES / 4) * 3;
      const before = await settled(reader);
      const [start, middle] = await Promise.all([
        hashOfPart(reader, 0, length),
        hashOfPart(reader, from, length),
      ]);
      t.is(start, hashOf(contentAt(LARGE_SEED, 0, length)));
      t.is(middle, hashOf(contentAt(LARGE_SEED, from, length)));
      const bytes = (await statusOf(reader)).downloadedBytes - before.downloadedBytes;
      t.comment(`fetched ${bytes} bytes`);
      // Each may have been read ahead of.
      t.ok(bytes < 2 * length + 24 * MIB, `fetched ${bytes} bytes`);
    });
  },
);

/** Names with types, modes, sizes, times and targets. */
function describe(top: string): string[] {
  return readdirSync(top, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const stat = lstatSync(join(top, name), { bigint: true });
      const target = stat.isSymbolicLink() ? readlinkSync(join(top, name)) : '';
      return `${name} ${stat.mode.toString(8)} ${stat.size} ${stat.mtimeNs} ${stat.nlink} ${target}`;
    });
}

/** Bytes of chunks that came over the network meanwhile. */
async function fetchedBy(reader: DriveMount, run: () => void | Promise<void>): Promise<number> {
  const before = await settled(reader);
  await run();
  return (await statusOf(reader)).downloadedBytes - before.downloadedBytes;
}

function readAt(path: string, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const fd = openSync(path, 'r');
  try {
    for (let done = 0; done < length; ) {
      const count = readSync(fd, bytes, done, length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
  } finally {
    closeSync(fd);
  }
  return bytes;
}

/** As a player does it: in order, from somewhere on. */
async function hashOfPart(
  reader: DriveMount,
  offset: number,
  length: number,
  options: string[] = [],
): Promise<string> {
  const program =
    'file=$1; skip=$2; count=$3; shift 3; dd if="$file" bs=65536 skip="$skip" count="$count" status=none "$@" | sha256sum';
  const place = [String(offset / 65536), String(length / 65536)];
  const file = join(reader.directory, 'large');
  const printed = await command('sh', ['-c', program, 'sh', file, ...place, ...options]);
  return printed.split(' ')[0] ?? '';
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

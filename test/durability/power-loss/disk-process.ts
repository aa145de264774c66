/**
 * Serves a disk that can lose power, in a process of its own: programs that use it may wait for it.
 *
 *   node disk-process.js DIRECTORY
 *
 * Takes commands on standard input, a JSON object a line, and answers each with one:
 * - `{"command":"count"}`: operations since the disk was last switched on
 * - `{"command":"record"}`: what was done since then is what the next crashes are made from
 * - `{"command":"empty"}`: puts an empty disk in its place
 * - `{"command":"crash", …}`: the {@link CrashCommand}; switches the disk off and on again, as the crash leaves it
 *
 * Each answers with the number of operations since the disk was switched on. Ends with standard input. The folder `noted`
 * of the disk loses nothing.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Mount } from '../../../mount/file-system.js';
import { ROOT_INO } from '../../../mount/file-system.js';
import { KernelDriver } from '../../../mount/kernel/kernel-driver.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { imageAfterCrash } from './crash.js';
import type { CrashCommand, DiskCommand } from './disk.js';
import { NOTED } from './disk.js';
import { DiskImage } from './disk-image.js';
import { RecordingDisk } from './recording-disk.js';

const S_IFREG = 0o100000;
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

const directory = String(process.argv[2]);
let disk = new RecordingDisk(firstImage(), NOTED);
/** What was done up to the last `record`, from which crashes are made until the next. */
let recorded = disk;
let mount = await switchOn();
console.log('on');
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line) as DiskCommand)));
}
await mount.unmount({ force: true });

async function answer(command: DiskCommand): Promise<{ count: number }> {
  switch (command.command) {
    case 'count':
      break;
    case 'record':
      recorded = disk;
      break;
    case 'empty':
      await replaceBy(firstImage());
      break;
    case 'crash':
      await replaceBy(imageAfter(command));
      break;
  }
  return { count: disk.operations.length };
}

async function replaceBy(image: DiskImage): Promise<void> {
  await mount.unmount({ force: true });
  disk = new RecordingDisk(image, NOTED);
  mount = await switchOn();
}

function switchOn(): Promise<Mount> {
  return new KernelDriver().mount(disk, {
    directory,
    sourceName: 'disk',
    subtype: 'shoal-test',
    allowOther: false,
    onNotice: (line) => console.error(line),
    onEnd: () => process.exit(1),
  });
}

function imageAfter({ crash, seed }: CrashCommand): DiskImage {
  const random = new SeededRandom(seed);
  const { base, operations } = recorded;
  const image = imageAfterCrash(base, operations, crash, random, (ino) => recorded.isExempt(ino));
  forgetBoot(image);
  return image;
}

/** The machine starts again: what names this boot names an earlier one. */
function forgetBoot(image: DiskImage): void {
  const bootId = readFileSync(BOOT_ID_FILE, 'latin1').trim();
  const earlier = Buffer.from(bootId.replace(/[0-9a-f]/g, '0'), 'latin1');
  for (const inode of image.inodes.values()) {
    if ((inode.mode & S_IFMT) !== S_IFREG) continue;
    const at = inode.content.subarray(0, 65_536).indexOf(bootId, 0, 'latin1');
    if (at >= 0) inode.write(at, earlier);
  }
}

function firstImage(): DiskImage {
  const image = DiskImage.empty();
  const ino = image.nextIno;
  image.apply({ kind: 'make', ino, mode: S_IFDIR | 0o755, timeMs: Date.now() });
  image.apply({ kind: 'names', remove: [], set: [{ directory: ROOT_INO, name: NOTED, ino }] });
  return image;
}

/** `shoal check` and the content of files: what is damaged is named, and nothing else suffers. */
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Assertions, test } from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { packedChunkBytesMax } from '../../src/content/block-format.js';
import { decodeEntry } from '../../src/tree/entry-record.js';
import { entryKey, segmentKey } from '../../src/tree/keys.js';
import { decodeSegment, encodeSegment } from '../../src/tree/segment-record.js';
import { withDrive } from '../durability/support/check-drive.js';
import { errorCode } from '../sharing/support/shared-drive.js';
import { type DriveMount, isRunning, Machine } from '../support/drive-mount.js';
import {
  type CheckResult,
  check,
  DRIVE,
  damageBlock,
  driveWith,
  FILE_BYTES,
  isWritten,
  loseBlock,
  writeFiles,
} from './support/damaged-drive.js';

const ROOT_INO = 1;
/** Many commands, one after the other, on a busy machine. */
const TIME = { timeout: 120_000 } as const;

test('check - a sound drive has no problems, mounted or not', TIME, async (t) => {
  const machine = Machine.forTest(t, { here: true });
  const mount = await machine.createAndMount(DRIVE, ['--offline']);
  writeFiles(mount, ['a', 'b']);
  writeFileSync(join(mount.directory, 'small'), 'small');
  expectSound(t, await check(machine));
  const mounted = await machine.tryShoal(['check', DRIVE, '--repair']);
  t.is(mounted.code, exitCodes.busy, 'a repair needs it unmounted');
  t.ok(mounted.stderr.includes(`process ${mount.pid}`), mounted.stderr);
  await mount.unmount();
  const { report } = expectSound(t, await check(machine));
  t.is(report.inodes, 4);
  t.is(report.fileBytes, 2 * FILE_BYTES + 5);
  t.ok(report.commits === report.version && report.commits > 1, 'all commits were looked at');
  t.ok(report.chunkBlocks.sound > 2 && report.treeBlocks.sound > 2);
  expectSound(t, await check(machine, '--repair', '--offline'));
  const text = await machine.shoal('check', DRIVE);
  t.ok(/^checked 'notes': 4 inodes.*\n.*\n.*\nno problems\n$/.test(text), text);
});

test('check - a changed byte of a chunk is named with paths and bytes', TIME, async (t) => {
  const names = ['sound', 'damaged'];
  const machine = Machine.forTest(t, { here: true });
  let mount = await machine.createAndMount(DRIVE, ['--offline']);
  writeFiles(mount, names);
  linkSync(join(mount.directory, 'damaged'), join(mount.directory, 'link'));
  await mount.unmount();
  const chunk = await loneChunkOf(machine, 'damaged');
  await damageBlock(machine, 'content', chunk.block);

  const { report } = expectDamaged(t, await check(machine));
  t.is(report.problems.length, 1);
  const [problem] = report.problems;
  t.alike(problem?.paths.sort(), ['damaged', 'link']);
  t.alike(problem?.range, { start: chunk.start, end: chunk.end });
  t.is(report.chunkBlocks.damaged, 1);
  const text = (await machine.tryShoal(['check', DRIVE])).stdout;
  t.ok(text.includes(`bytes ${chunk.start} to ${chunk.end - 1}`), text);

  mount = await machine.mount(DRIVE, ['--offline'], mount.directory);
  t.is(
    errorCode(() => readFileSync(join(mount.directory, 'damaged'))),
    'EIO',
  );
  t.ok(isWritten(mount, names, 'sound'), 'the other file reads');
  expectDamaged(t, await check(machine));
  t.ok(isRunning(mount.pid), 'the mount is up');
  await mount.unmount();

  const repair = expectDamaged(t, await check(machine, '--repair', '--offline'));
  t.alike(repair.report.repairs, [`removed the damaged block ${chunk.block} of the chunk log`]);
  t.alike(repair.report.problems[0]?.range, problem?.range, 'nobody has it: it is missing now');
  // Longer than the test may take.
  mount = await machine.mount(DRIVE, ['--offline', '--deadline', '600'], mount.directory);
  t.is(
    errorCode(() => readFileSync(join(mount.directory, 'damaged'))),
    'ETIMEDOUT',
    'without a network nobody is waited for',
  );
  unlinkSync(join(mount.directory, 'damaged'));
  unlinkSync(join(mount.directory, 'link'));
  await mount.unmount();
  expectSound(t, await check(machine));
  await expectUsable(t, machine, mount, names, ['sound']);
});

test('check, du - a name cannot forge lines, or command a terminal', TIME, async (t) => {
  const name = 'bad\x1b[2J\nno problems';
  const machine = await driveWith(t, [name, 'sound']);
  const ofFile = await machine.shoal('du', DRIVE, name);
  t.ok(ofFile.includes('  "/bad\\u001b[2J\\nno problems"\n'), ofFile);
  const chunk = await loneChunkOf(machine, name);
  await damageBlock(machine, 'content', chunk.block);
  const { code, stdout } = await machine.tryShoal(['check', DRIVE]);
  t.is(code, exitCodes.damaged);
  t.ok(stdout.startsWith("damaged: 'bad\\x1b[2J\\x0ano problems' bytes "), stdout);
  t.absent(/^no problems/m.test(ofFile + stdout));
});

test('check - a chunk that is missing in the store', TIME, async (t) => {
  const names = ['damaged', 'sound'];
  const machine = await driveWith(t, names);
  const chunk = await loneChunkOf(machine, 'damaged');
  await loseBlock(machine, 'content', chunk.block);
  const { report } = expectDamaged(t, await check(machine));
  t.alike(report.problems[0]?.paths, ['damaged']);
  t.alike(report.problems[0]?.range, { start: chunk.start, end: chunk.end });
  t.ok(report.problems[0]?.message.includes('missing'), report.problems[0]?.message);
});

test('check - a chunk that is not the one the tree means', TIME, async (t) => {
  const machine = await driveWith(t, ['file']);
  await withDrive(machine.home, DRIVE, async ({ tree }) => {
    const entry = await tree.get(entryKey(ROOT_INO, 'file'));
    const { ino } = decodeEntry(entry as Buffer);
    const key = segmentKey(ino, 0);
    const extents = decodeSegment(ino, 0, (await tree.get(key)) as Buffer);
    extents[0]?.chunk?.hash.fill(0);
    await tree.write([{ key, value: encodeSegment(extents) }]);
  });
  const { report } = expectDamaged(t, await check(machine));
  t.alike(report.problems[0]?.paths, ['file']);
  t.is(report.problems[0]?.range?.start, 0);
  t.ok(report.problems[0]?.message.includes('hash'), report.problems[0]?.message);
});

test('check - exit codes of what cannot be checked', TIME, async (t) => {
  const machine = Machine.forTest(t, { here: true });
  t.is((await machine.tryShoal(['check', 'none'])).code, exitCodes.notFound);
  await machine.shoal('create', DRIVE);
  t.is((await machine.tryShoal(['check', DRIVE, '--deadline', 'x'])).code, exitCodes.usage);
});

function expectSound(t: Assertions, result: CheckResult): CheckResult {
  t.alike(result.report.problems, []);
  t.is(result.code, exitCodes.ok);
  return result;
}

function expectDamaged(t: Assertions, result: CheckResult): CheckResult {
  t.ok(result.report.problemCount > 0, 'there are problems');
  t.is(result.code, exitCodes.damaged);
  return result;
}

async function expectUsable(
  t: Assertions,
  machine: Machine,
  { directory }: DriveMount,
  names: readonly string[],
  sound: readonly string[],
): Promise<void> {
  const mount = await machine.mount(DRIVE, ['--offline'], directory);
  for (const name of sound) t.ok(isWritten(mount, names, name), `${name} reads`);
  writeFileSync(join(directory, 'new'), 'new', { flush: true });
  await mount.unmount();
  expectSound(t, await check(machine));
}

/**
 * The block, and the bytes in the file, of its first chunk behind the beginning that has a block for itself. Where chunks
 * end is another place in each drive, and small ones share a block, also with other files.
 */
async function loneChunkOf(
  machine: Machine,
  name: string,
): Promise<{ block: number; start: number; end: number }> {
  return await withDrive(machine.home, DRIVE, async ({ tree }) => {
    const entry = await tree.get(entryKey(ROOT_INO, name));
    if (entry === null) throw new Error(`There is no '${name}'`);
    const { ino } = decodeEntry(entry);
    const segment = await tree.get(segmentKey(ino, 0));
    const extents = segment === null ? [] : decodeSegment(ino, 0, segment);
    const extent = extents.find(({ start, length }) => start > 0 && length >= packedChunkBytesMax);
    if (extent?.chunk == null) throw new Error(`'${name}' has no second chunk that is large`);
    return { block: extent.chunk.block, start: extent.start, end: extent.start + extent.length };
  });
}

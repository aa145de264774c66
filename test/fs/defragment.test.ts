import test from 'brittle';
import { limits } from '../../src/limits.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { caller, openFileSystem } from './support/open-file-system.js';

const O_RDWR = 2;
const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };

test('thousands of tiny writes into one segment end in few extents', async (t) => {
  const folder = temporaryFolder(t, 'defragment');
  const { fileSystem, tree, close } = await openFileSystem(folder);
  const made = await fileSystem.create(1, 'file', 0o100644, O_RDWR, caller);
  const { ino } = made.entry.attributes;
  const { handle } = made.open;
  const expected = Buffer.alloc(100_000);
  for (let i = 0; i < 5000; i++) {
    const at = (i * 7919) % 99_000;
    const data = Buffer.of(1 + (i % 255));
    expected[at] = data[0] as number;
    await fileSystem.write(ino, handle, at, data, options, caller);
    if (i % 1000 === 999) await fileSystem.syncfs();
  }
  await fileSystem.setattr(ino, { size: expected.length }, caller);
  const answer = await fileSystem.read(ino, handle, 0, expected.length, caller);
  const bytes = Array.isArray(answer) ? Buffer.concat(answer) : answer;
  t.ok(bytes.equals(expected), 'content is right');
  await fileSystem.release(ino, handle);
  await close();

  const again = await openFileSystem(folder);
  let largest = 0;
  for await (const { value } of again.tree.range(Buffer.of(0x12), Buffer.of(0x13))) {
    largest = Math.max(largest, value.length);
  }
  t.ok(largest > 0 && largest < limits.record_bytes_max / 2, `largest segment record ${largest}`);
  await again.close();
  void tree;
});

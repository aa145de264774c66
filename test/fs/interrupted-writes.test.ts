/** Callers that go away while a write waits for what is not in memory. */
import test from 'brittle';
import type { Caller } from '../../mount/file-system.js';
import { InterruptedError } from '../../src/errors.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { caller, openFileSystem } from './support/open-file-system.js';

const O_RDWR = 2;
const BYTES = 3 << 20;
const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };

test('what the kernel writes out from its cache is taken, whoever was interrupted', async (t) => {
  const folder = temporaryFolder(t, 'interrupted');
  let opened = await openFileSystem(folder);
  const made = await opened.fileSystem.create(1, 'file', 0o100644, O_RDWR, caller);
  const { ino } = made.entry.attributes;
  const before = Buffer.alloc(BYTES, 1);
  await opened.fileSystem.write(ino, made.open.handle, 0, before, options, caller);
  await opened.close();

  const gone: Caller = { uid: 0, gid: 0, pid: 1, signal: AbortSignal.abort() };
  // Nothing of the file is in memory after each opening.
  for (const fromPageCache of [false, true]) {
    opened = await openFileSystem(folder);
    const { fileSystem } = opened;
    const { handle } = await fileSystem.open(ino, O_RDWR, caller, false);
    const at = 2 << 20;
    const write = async () =>
      await fileSystem.write(ino, handle, at, Buffer.of(2), { ...options, fromPageCache }, gone);
    if (fromPageCache) t.is(await write(), 1);
    else await t.exception(write, InterruptedError);
    const read = await fileSystem.read(ino, handle, at, 1, caller);
    t.is(Buffer.concat([read].flat())[0], fromPageCache ? 2 : 1);
    await opened.close();
  }
});

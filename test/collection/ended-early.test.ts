/** A collection that ends between taking blocks out of the store and giving their space back: the next one gives it back. */
import { join } from 'node:path';
import test, { type Assertions } from 'brittle';
import { type CollectReport, collect } from '../../src/drive/collector.js';
import { diskUsage } from '../../src/drive/disk-usage.js';
import { readOwedSpace } from '../../src/drive/owed-space.js';
import { VALUES } from '../../src/log/values/value-files.js';
import { retentionKey } from '../../src/tree/keys.js';
import { encodeRetention } from '../../src/tree/retention-record.js';
import { caller, openFileSystem } from '../fs/support/open-file-system.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const MIB = 1 << 20;
const ROOT = 1;
const O_RDWR = 2;

/** A drive that keeps its newest version only. */
async function openDrive(t: Assertions) {
  const folder = temporaryFolder(t, 'ended-early');
  const opened = await openFileSystem(folder, { sync: () => Promise.resolve() });
  const { fileSystem, store, tree, content, treeCore, contentCore } = opened;
  const retention = { keepAll: false, keepMs: 0, keepDailyMs: 0, keepSnapshots: true };
  const value = encodeRetention(retention);
  fileSystem.committer.putDriveRecord({ key: retentionKey, value }, 2);
  return {
    ...opened,
    async write(name: string, bytes: number): Promise<void> {
      const made = await fileSystem.create(ROOT, name, 0o100644, O_RDWR, caller);
      const { ino } = made.entry.attributes;
      const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };
      const data = randomBytes(bytes, bytes);
      for (let at = 0; at < bytes; at += MIB) {
        const piece = data.subarray(at, at + MIB);
        await fileSystem.write(ino, made.open.handle, at, piece, options, caller);
      }
      await fileSystem.release(ino, made.open.handle);
      fileSystem.forget(ino, 1);
      await fileSystem.commit();
    },
    /** Commits until there is nothing left to do for a deleted file. */
    async remove(name: string): Promise<void> {
      await fileSystem.unlink(ROOT, name, caller);
      for (let before = -1; before !== tree.head.length; await fileSystem.commit()) {
        before = tree.head.length;
      }
    },
    collect(compact: boolean, pause = (): Promise<void> | undefined => undefined) {
      return collect(
        {
          tree,
          content,
          fileSystem,
          treeCore,
          contentCore,
          storage: store.storage,
          inUse: () => [],
        },
        { pause, compact },
      );
    },
    /** What blocks take in their files. */
    async valueBytes(): Promise<number> {
      await store.storage.db.flush();
      return await diskUsage(join(folder, VALUES));
    },
  };
}

/** Ends a collection when all blocks were taken out, and nothing else was done. */
async function collectHalf({ collect: run, contentCore }: Awaited<ReturnType<typeof openDrive>>) {
  const isGone = (): boolean => contentCore.core?.bitfield.get(0) === false;
  const end = (): undefined => {
    if (isGone()) throw new Error('ended');
  };
  const wasThere = !isGone();
  const error = await run(true, end).then(
    (report: CollectReport) => JSON.stringify(report),
    (reason: unknown) => String(reason),
  );
  return { wasThere, error };
}

test('space of a collection that was ended comes back with the next one', async (t) => {
  const drive = await openDrive(t);
  await drive.write('doomed', 6 * MIB);
  await drive.write('kept', 2 * MIB);
  // Else it never comes to the files that removed blocks stay in.
  await drive.valueBytes();
  await drive.remove('doomed');
  const { wasThere, error } = await collectHalf(drive);
  t.ok(wasThere && /ended/.test(error), error);
  t.ok((await drive.valueBytes()) > 8 * MIB, 'the files have all of it');
  const owed = await readOwedSpace(drive.treeCore);
  t.ok(owed > 6 * MIB && owed < 7 * MIB, `${owed} bytes are noted`);

  const { bytes, chunkBlocks } = await drive.collect(true);
  t.is(chunkBlocks, 0, 'there is nothing left to take out');
  t.ok(bytes < MIB);
  const left = await drive.valueBytes();
  t.ok(left > 2 * MIB && left < 3 * MIB, `${left} bytes are left`);
  t.is(await readOwedSpace(drive.treeCore), 0);
  await drive.close();
});

test('what is not worth it each time adds up', async (t) => {
  const drive = await openDrive(t);
  await drive.write('kept', 8 * MIB);
  const noted: number[] = [];
  for (let i = 0; i < 4; i++) {
    await drive.write(`doomed ${i}`, MIB / 2);
    await drive.remove(`doomed ${i}`);
    await drive.collect(false);
    noted.push(await readOwedSpace(drive.treeCore));
  }
  t.ok((noted[0] as number) > MIB / 2, 'noted, as it is little of all');
  t.ok(noted.includes(0), `once it is an eighth of all the files are written anew: ${noted}`);
  t.ok((await drive.valueBytes()) < 9.3 * MIB);
  await drive.close();
});

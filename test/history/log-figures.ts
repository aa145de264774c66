/**
 * How long log and diff take on a drive with many versions:
 *
 *   node dist/test/history/log-figures.js 100000
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DriveHistory } from '../../src/fs/history/drive-history.js';
import { HeadsInUse } from '../../src/fs/history/heads-in-use.js';
import { caller, type OpenedFileSystem, openFileSystem } from '../fs/support/open-file-system.js';

const O_RDWR = 2;
const FILES = 50;
const ROOT = 1;

async function makeVersions({ fileSystem }: OpenedFileSystem, count: number): Promise<void> {
  const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };
  const files: { ino: number; handle: number }[] = [];
  for (let i = 0; i < FILES; i++) {
    const made = await fileSystem.create(ROOT, `file-${i}`, 0o100644, O_RDWR, caller);
    files.push({ ino: made.entry.attributes.ino, handle: made.open.handle });
  }
  for (let version = 1; version < count; version++) {
    const { ino, handle } = files[version % FILES] as { ino: number; handle: number };
    await fileSystem.write(ino, handle, 0, Buffer.from(String(version)), options, caller);
    await fileSystem.commit();
  }
}

async function main(count: number): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'log-figures-'));
  try {
    // How long commits take does not matter here.
    const opened = await openFileSystem(folder, { sync: () => Promise.resolve() });
    await makeVersions(opened, count);
    const history = new DriveHistory(opened.fileSystem, opened.tree, new HeadsInUse());
    const measure = async (what: string, run: () => Promise<unknown>): Promise<void> => {
      const beganMs = performance.now();
      await run();
      console.log(`${what}: ${(performance.now() - beganMs).toFixed(1)} ms`);
    };
    const middle = Math.floor(count / 2);
    await measure('newest 20 versions', () => history.call('log', {}));
    await measure('20 in the middle', () => history.call('log', { before: middle }));
    await measure('20 of one file', () => history.call('log', { path: 'file-0' }));
    const far = { from: '10', to: String(count - 5) };
    await measure('difference of the whole', () => history.call('diff', far));
    await opened.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main(Number(process.argv[2] ?? 10_000));

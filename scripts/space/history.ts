/** How long log and diff take on a drive with many versions. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DriveHistory } from '../../src/fs/history/drive-history.js';
import { HeadsInUse } from '../../src/fs/history/heads-in-use.js';
import {
  caller,
  type OpenedFileSystem,
  openFileSystem,
} from '../../test/fs/support/open-file-system.js';
import type { Figure, PartOptions, SpacePart } from './part.js';

const O_RDWR = 2;
const ROOT = 1;
const FILES = 50;
const VERSIONS = 100_000;
const QUICK_VERSIONS = 2000;
const SAY_EVERY_VERSIONS = 10_000;

export const historyPart: SpacePart = {
  name: 'history',
  what: 'log and diff on a drive with 100,000 versions',
  run: ({ folder, quick, say }: PartOptions) =>
    measureHistory(join(folder, 'history'), quick ? QUICK_VERSIONS : VERSIONS, say),
};

async function measureHistory(
  folder: string,
  count: number,
  say: (line: string) => void,
): Promise<Figure[]> {
  mkdirSync(folder);
  // How long commits take does not matter here.
  const opened = await openFileSystem(folder, { sync: () => Promise.resolve() });
  try {
    await makeVersions(opened, count, say);
    const history = new DriveHistory(opened.fileSystem, opened.tree, new HeadsInUse());
    const figures: Figure[] = [{ name: 'versions', value: count, unit: '' }];
    const measure = async (name: string, run: () => Promise<unknown>): Promise<void> => {
      const beganMs = performance.now();
      await run();
      figures.push({ name, value: performance.now() - beganMs, unit: 'ms' });
    };
    const middle = Math.floor(count / 2);
    await measure('newest 20 versions', () => history.call('log', {}));
    await measure('20 from the middle', () => history.call('log', { before: middle }));
    await measure(`newest 20 that changed one of ${FILES} files`, () =>
      history.call('log', { path: 'file-0' }),
    );
    const far = { from: '10', to: String(count - 5) };
    await measure(`difference of two that are ${count - 15} apart`, () =>
      history.call('diff', far),
    );
    return figures;
  } finally {
    await opened.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function makeVersions(
  { fileSystem }: OpenedFileSystem,
  count: number,
  say: (line: string) => void,
): Promise<void> {
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
    if (version % SAY_EVERY_VERSIONS === 0) say(`${version} versions made`);
  }
}

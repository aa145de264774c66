import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import test from 'brittle';
import { processesUsing } from '../../mount/processes-using.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { says, start } from './support/mounted.js';

/** Two of them are longer than the text of a link may be. */
const DEEP = Array<string>(12).fill('d'.repeat(200)).join('/');

test('processes using a directory - one whose own place has no name that can be read hides no other', async (t) => {
  const folder = temporaryFolder(t, 'using');
  const inner = join(folder, 'inner', DEEP);
  const outer = join(folder, 'outer', DEEP);
  const used = join(folder, 'used');
  for (const directory of [inner, outer, used]) mkdirSync(directory, { recursive: true });
  const startIn = async (directory: string) => {
    const { child, outcome } = start('sh', ['-c', 'cd "$0" && echo there && read line', directory]);
    await says(child, 'there');
    return { child, outcome };
  };
  const far = await startIn(inner);
  const near = await startIn(used);
  renameSync(join(folder, 'inner'), join(outer, 'inner'));
  const found = await processesUsing(used).finally(() => {
    // Else it could not be removed.
    renameSync(join(outer, 'inner'), join(folder, 'inner'));
  });
  t.alike(
    found.map(({ pid, what }) => ({ pid, what })),
    [{ pid: near.child.pid, what: 'working directory' }],
  );
  for (const { child, outcome } of [far, near]) {
    child.stdin?.end();
    await outcome;
  }
});

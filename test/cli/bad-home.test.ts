/** A home that cannot be one: a line that says so, and an end. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { tryCommand } from '../support/command.js';
import { SHOAL } from '../support/drive-mount.js';
import { temporaryFolder } from '../support/temporary-folder.js';

test('a home that cannot be made is refused with what to do', async (t) => {
  const file = path.join(temporaryFolder(t, 'home'), 'file');
  writeFileSync(file, '');
  // Below /proc the system answers ENOENT for every new directory.
  for (const home of ['/proc/x', path.join(file, 'home')]) {
    const options = { env: { SHOAL_HOME: home }, deadlineMs: 20_000 };
    const result = await tryCommand(process.execPath, [SHOAL, 'create', 'notes'], options);
    t.is(result.code, exitCodes.environment, `${home}: exit code`);
    t.ok(/SHOAL_HOME must be a folder/.test(result.stderr), result.stderr.trim());
    t.is(result.stderr.trim().split('\n').length, 1, 'one line');
  }
});

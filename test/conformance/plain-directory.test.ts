import { closeSync, mkdtempSync, openSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'brittle';
import { testDirectory } from '../support/run-behaviours.js';
import { FALLOC_ZERO_RANGE, fallocate } from '../support/syscalls.js';
import { conformance } from './conformance.js';

/** The checks hold on the machine's own file system, so that what fails on a mount is the mount's. */
const folder = mkdtempSync(path.join(tmpdir(), 'plain-'));
testDirectory('plain directory', conformance, () => folder, { hasZeroRange: hasZeroRange() });
test('plain directory: nothing is left', (t) => {
  rmSync(folder, { recursive: true });
  t.pass();
});

/** Some file systems (tmpfs) cannot; a mounted drive can. */
function hasZeroRange(): boolean {
  const fd = openSync(path.join(folder, 'probe'), 'w');
  try {
    fallocate(fd, FALLOC_ZERO_RANGE, 0, 4096);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EOPNOTSUPP') throw error;
    return false;
  } finally {
    closeSync(fd);
    unlinkSync(path.join(folder, 'probe'));
  }
}

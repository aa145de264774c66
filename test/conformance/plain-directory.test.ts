import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'brittle';
import { testDirectory } from '../support/run-behaviours.js';
import { conformance } from './conformance.js';

/** The checks hold on the machine's own file system, so that what fails on a mount is the mount's. */
const folder = mkdtempSync(path.join(tmpdir(), 'plain-'));
testDirectory('plain directory', conformance, () => folder);
test('plain directory: nothing is left', (t) => {
  rmSync(folder, { recursive: true });
  t.pass();
});

/** Turns behaviours into tests on a directory. */
import { readdirSync } from 'node:fs';
import { type Assertions, test } from 'brittle';
import { canActAsOthers } from './other-user.js';
import { withFolder } from './temporary-folder.js';

/** A check that gets an empty directory. */
export interface DirectoryCheck {
  name: string;
  needsRoot?: boolean;
  /** Why it cannot run here; then it is skipped, with the reason in its name. */
  skip?: string;
  run: (directory: string) => void | Promise<void>;
}

const CHECK_TIME_MS_MAX = 120_000;

/**
 * One test for each check, each in an empty directory of its own inside what `directory` gives when the test runs.
 * A check that throws fails its test, and the next ones still run.
 */
export function testDirectory(
  title: string,
  checks: readonly DirectoryCheck[],
  directory: () => string,
): void {
  for (const check of checks) {
    const reason =
      check.skip ?? (check.needsRoot === true && !canActAsOthers() ? 'needs root' : undefined);
    const name = `${title}: ${check.name}`;
    if (reason === undefined) {
      test(name, { timeout: CHECK_TIME_MS_MAX }, (t) => runOne(t, check, directory));
    } else {
      test(`${name} (${reason})`, { skip: true }, (t) => t.fail('not run'));
    }
  }
}

async function runOne(
  t: Assertions,
  check: DirectoryCheck,
  directory: () => string,
): Promise<void> {
  // brittle ends the whole process when a test throws.
  try {
    const parent = directory();
    await withFolder(parent, 'check', async (folder) => {
      await check.run(folder);
    });
    const left = readdirSync(parent).filter((name) => name.startsWith('check-'));
    t.alike(left, [], 'its directory can be removed');
  } catch (error) {
    t.fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}

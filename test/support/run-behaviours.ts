/** Turns behaviours into tests on a directory. */
import { readdirSync } from 'node:fs';
import { type Assertions, test } from 'brittle';
import { canActAsOthers } from './other-user.js';
import { withFolder } from './temporary-folder.js';

/** A check that gets an empty directory. */
export interface DirectoryCheck {
  name: string;
  needsRoot?: boolean;
  needsZeroRange?: boolean;
  /** Why it cannot run here; then it is skipped, with the reason in its name. */
  skip?: string;
  run: (directory: string) => void | Promise<void>;
}

/** The check of 100,000 names is the longest. */
const CHECK_TIME_MS_MAX = 90_000;

/**
 * One test for each check, each in an empty directory of its own inside what `directory` gives when the test runs.
 * A check that throws fails its test, and the next ones still run.
 */
export function testDirectory(
  title: string,
  checks: readonly DirectoryCheck[],
  directory: () => string,
  options: { hasZeroRange: boolean } = { hasZeroRange: true },
): void {
  for (const check of checks) {
    let reason = check.skip;
    if (check.needsRoot === true && !canActAsOthers()) reason = 'needs root';
    if (check.needsZeroRange === true && !options.hasZeroRange) {
      reason = 'the file system cannot zero a range';
    }
    const name = `${title}: ${check.name}`;
    if (reason === undefined) {
      test(name, { timeout: 0 }, (t) => runOne(t, check, directory));
    } else {
      test(`${name} (${reason})`, { skip: true }, (t) => t.fail('not run'));
    }
  }
}

/** brittle's own deadline would end the whole process, too. A synchronous call that hangs is the runner's to end. */
async function withDeadline(run: void | Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`It did not end within ${CHECK_TIME_MS_MAX / 1000} s`)),
      CHECK_TIME_MS_MAX,
    );
  });
  try {
    await Promise.race([run, late]);
  } finally {
    clearTimeout(timer);
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
    await withFolder(parent, 'check', (folder) => withDeadline(check.run(folder)));
    const left = readdirSync(parent).filter((name) => name.startsWith('check-'));
    t.alike(left, [], 'its directory can be removed');
  } catch (error) {
    t.fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}

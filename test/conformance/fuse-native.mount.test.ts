/** The second driver shows the same behaviour, except what is listed in `fuse-native-limits.ts`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'brittle';
import { type DriveMount, Machine } from '../support/drive-mount.js';
import { provideFuseNative } from '../support/fuse-native.js';
import { type DirectoryCheck, testDirectory } from '../support/run-behaviours.js';
import { conformance } from './conformance.js';
import {
  FUSE_NATIVE_LIMITS,
  FUSE_NATIVE_OTHER_LIMITS,
  FUSE_NATIVE_SLOW,
} from './fuse-native-limits.js';
import { randomOperationsWithoutHoles } from './random-operations.js';

const { missing } = await provideFuseNative();

const checks: DirectoryCheck[] = [...conformance, ...randomOperationsWithoutHoles].map((check) => {
  const skip = FUSE_NATIVE_SLOW[check.name];
  if (skip !== undefined) return { ...check, skip };
  const limit = FUSE_NATIVE_LIMITS.find(({ behaviours }) => behaviours.includes(check.name));
  if (limit === undefined) return check;
  return {
    ...check,
    name: `${check.name} (known limit: ${limit.what})`,
    // Must fail, or the list would say what is not so any more.
    run: (directory) => assert.rejects(async () => check.run(directory)),
  };
});

test('fuse-native: docs/drivers.md has every known limit, and each is about behaviours there are', (t) => {
  const text = readFileSync(new URL('../../../docs/drivers.md', import.meta.url), 'utf8');
  const names = new Set(conformance.map(({ name }) => name));
  for (const { what, why } of [...FUSE_NATIVE_LIMITS, ...FUSE_NATIVE_OTHER_LIMITS]) {
    t.ok(text.includes(`| ${what} | ${why} |`), what);
  }
  const listed = FUSE_NATIVE_LIMITS.flatMap(({ behaviours }) => behaviours);
  for (const name of [...listed, ...Object.keys(FUSE_NATIVE_SLOW)]) t.ok(names.has(name), name);
});

if (missing !== null) {
  test(`fuse-native: conformance (skipped: ${missing})`, { skip: true }, () => undefined);
} else {
  const machine = new Machine();
  let mount: DriveMount | undefined;

  test('fuse-native: a new drive is mounted', { timeout: 60_000 }, async (t) => {
    try {
      mount = await machine.createAndMount('conformance', ['--offline', '--driver', 'fuse-native']);
      t.pass();
    } catch (error) {
      t.fail(String(error));
    }
  });

  testDirectory('fuse-native', checks, () => {
    if (mount === undefined) throw new Error('There is no mount');
    return mount.directory;
  });

  test('fuse-native: it is unmounted and leaves nothing', { timeout: 60_000 }, async (t) => {
    try {
      if (mount === undefined) t.fail('there is no mount');
      else await mount.unmount();
      t.pass();
    } catch (error) {
      t.fail(String(error));
    } finally {
      await machine.close();
    }
  });
}

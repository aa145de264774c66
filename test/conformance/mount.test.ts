import { test } from 'brittle';
import { type DriveMount, Machine } from '../support/drive-mount.js';
import { testDirectory } from '../support/run-behaviours.js';
import { conformance } from './conformance.js';

/** One mount for all checks: each has a directory of its own, and what one leaves behind may break the next. */
const machine = new Machine();
let mount: DriveMount | undefined;

test('mount: a new drive is mounted', { timeout: 60_000 }, async (t) => {
  try {
    mount = await machine.createAndMount('conformance', ['--offline', '--birth-times']);
    t.pass();
  } catch (error) {
    t.fail(String(error));
  }
});

testDirectory('mount', conformance, () => {
  if (mount === undefined) throw new Error('There is no mount');
  return mount.directory;
});

test('mount: it is unmounted and leaves nothing', { timeout: 60_000 }, async (t) => {
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

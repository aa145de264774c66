/** `shoal mount --birth-times`. */
import { chmodSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'brittle';
import { Machine } from '../support/drive-mount.js';

/** Between a moment and now, whichever of the system's two clocks gave it. */
const TICK_MS = 20;

interface Status {
  mount: { requests: { requestsByOperation: Record<string, number> } };
}

test('cli - times of birth are kept always, and told with --birth-times', async (t) => {
  const machine = Machine.forTest(t, { here: true });
  const began = Date.now() - TICK_MS;
  let mount = await machine.createAndMount('drive', ['--offline']);
  const born = (name: string): number => Number(lstatSync(join(mount.directory, name)).birthtimeMs);
  const asked = async (): Promise<number> => {
    const status = JSON.parse(await machine.shoal('status', 'drive', '--json')) as Status;
    return status.mount.requests.requestsByOperation.statx ?? 0;
  };
  mkdirSync(join(mount.directory, 'folder'));
  for (const name of ['one', 'two', 'three']) writeFileSync(join(mount.directory, name), name);
  const ended = Date.now() + TICK_MS;
  for (const name of ['one', 'two', 'folder']) lstatSync(join(mount.directory, name));
  t.ok((await asked()) <= 1, 'who refuses it is asked once at most');
  await mount.unmount();

  mount = await machine.mount('drive', ['--offline', '--birth-times']);
  for (const name of ['one', 'two', 'folder']) {
    // No change moves it.
    chmodSync(join(mount.directory, name), 0o700);
    t.ok(born(name) >= began && born(name) <= ended, `${name}: ${born(name)}`);
  }
  t.ok((await asked()) >= 3);
});

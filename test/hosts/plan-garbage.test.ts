/** What a host need not keep, where it learns of that late. */
import test from 'brittle';
import Corestore from 'corestore';
import { openStorage } from '../../src/drive/drive-logs.js';
import { Home } from '../../src/drive/home.js';
import { hostPaths } from '../../src/drive/host-files.js';
import { removeBlocks } from '../../src/log/remove-blocks.js';
import { BootstrapNode } from '../support/drive-mount.js';
import { HostProcess, until } from './support/host-process.js';
import { LittleOwner } from './support/little-owner.js';

const TIME = { timeout: 180_000 } as const;
const COLLECTED: [number, number] = [0, 20];

test('plan - the garbage of a plan may come after the plan', TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const owner = await LittleOwner.forTest(t, { bootstrap, data: 1, parity: 0 });
  const host = await HostProcess.forTest(t, { bootstrap });
  await owner.append(40);
  await owner.add(host.invite);
  await owner.untilComplete(host.invite);
  await owner.writeGarbage([], [COLLECTED]);
  await owner.untilComplete(host.invite);
  await host.kill();
  await owner.goOffline();
  await removeBlocks(owner.cores.content, [COLLECTED]);
  // As when a connection ends just before the record comes, which is older than the plan.
  const garbageBlock = owner.plan.garbageBlock as number;
  const store = new Corestore(
    openStorage(hostPaths(new Home(host.folder), host.folder).store, false),
  );
  for (const [log, blocks] of [
    ['content', COLLECTED],
    ['plan', [garbageBlock, garbageBlock + 1]],
  ] as const) {
    const core = store.get({ key: owner.keys[log], writable: false });
    await core.ready();
    await removeBlocks(core, [blocks]);
  }
  await store.close();

  await host.start();
  await until('it goes by the plan alone', async () => {
    const [drive] = (await host.status()).drives;
    // And the record itself.
    return drive?.state?.missingBlocks === 21;
  });
  owner.goOnline();
  await owner.untilComplete(host.invite);
  t.is((await owner.shardsAt(host.invite))[0]?.length, 20);
});

/** The owner of a drive, in this process, who signs what he likes. */
import type { Assertions } from 'brittle';
import type Hypercore from 'hypercore';
import { DriveLogs, driveKeysOf, topicOf } from '../../../src/drive/drive-logs.js';
import { Home } from '../../../src/drive/home.js';
import { parseBootstrap } from '../../../src/swarm/address.js';
import { Swarm } from '../../../src/swarm/swarm.js';
import { HyperbeeTree } from '../../../src/tree/hyperbee-tree.js';
import type { Machine } from '../../support/drive-mount.js';

export interface EvilOwner {
  /** Stays where it is when something is appended to `core`. */
  tree: HyperbeeTree;
  /** The tree's log. */
  core: Hypercore;
}

/** Opens a drive that was made on a machine, and announces it; closed with the test. */
export async function evilOwner(
  t: Assertions,
  machine: Machine,
  name: string,
  bootstrap: string,
): Promise<EvilOwner> {
  const home = new Home(machine.home);
  const { capability } = await home.read(name);
  if (capability.type !== 'write') throw new Error('Only who has the write key is the owner');
  const keys = driveKeysOf(capability);
  const logs = await DriveLogs.open(home.paths(name).store, keys, true);
  const core = logs.tree(true);
  await core.ready();
  const content = logs.content(keys.writer?.contentLog.key as Buffer, true);
  await content.ready();
  const tree = await HyperbeeTree.open({ core: logs.tree(true), deadlineMs: 5000 });
  const swarm = new Swarm({
    store: logs.store,
    topic: topicOf(keys),
    bootstrap: parseBootstrap(bootstrap),
    log: (line) => t.comment(line),
  });
  t.teardown(
    async () => {
      await swarm.close();
      for (const session of [tree, core, content]) await session.close();
      await logs.store.close();
    },
    { order: -1, force: true },
  );
  return { tree, core };
}

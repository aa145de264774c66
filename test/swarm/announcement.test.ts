/** Being found by one's identity, also when the network came later, or forgot. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type { KeyPair } from 'hypercore';
import crypto from 'hypercore-crypto';
import { limits } from '../../src/limits.js';
import { Announcement } from '../../src/swarm/announcement.js';
import { startBootstrapNode } from '../../src/swarm/bootstrap.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { silentPort } from '../drive/support/private-network.js';
import { eventually } from '../sharing/support/shared-drive.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Announcing waits several seconds for a node that does not answer. */
const TIME = { timeout: 90_000 };

test('announcement - who started before the network is found by its identity', TIME, async (t) => {
  const { port, release } = await silentPort(t);
  const host = crypto.keyPair();
  // It has tried, and has given up.
  await joinSwarm(t, 'host', port, host).announced();
  await release();
  const node = await startBootstrapNode('127.0.0.1', port);
  t.teardown(() => node.close(), { order: 20, force: true });
  const other = joinSwarm(t, 'other', port, crypto.keyPair());
  // Alone, the library would take up to five minutes.
  t.ok(await other.connectionTo(host.publicKey, 50_000), 'connected');
});

test(
  'announcement - peers that are connected are found after their node was started anew',
  TIME,
  async (t) => {
    const { port, release } = await silentPort(t);
    await release();
    const first = await startBootstrapNode('127.0.0.1', port);
    const topic = randomBytes(32);
    const interval = limits.peer_announce_interval_ms;
    Object.assign(limits, { peer_announce_interval_ms: 2 * limits.peer_stall_look_ms });
    t.teardown(() => Object.assign(limits, { peer_announce_interval_ms: interval }));
    const [one, two] = ['one', 'two'].map((name) => joinTopic(t, name, port, topic)) as [
      Swarm,
      Swarm,
    ];
    await eventually('they meet', () => one.statistics().peers > 0 && two.statistics().peers > 0);
    await first.close();
    const second = await startBootstrapNode('127.0.0.1', port);
    t.teardown(() => second.close(), { order: 20, force: true });
    // Those who announced themselves before it knows of anybody would be met.
    await sleep(500);
    const late = joinTopic(t, 'late', port, topic);
    // One side of a connection knows of it before the other.
    await eventually('a third one meets both', () => {
      return [late, one, two].every((swarm) => swarm.statistics().peers === 2);
    });
    t.is(one.statistics().peers, 2);
  },
);

test('announcement - anew while no node knows of it, and where the only one may forget', (t) => {
  let refreshed = 0;
  const announcer = { relays: [] as string[] };
  const server = { _announcer: null as typeof announcer | null, refresh: () => refreshed++ };
  const inPrivate = new Announcement(server, true);
  const inPublic = new Announcement(server, false);
  const look = (announcement: Announcement, times: number): number => {
    refreshed = 0;
    let said = 0;
    for (let i = 0; i < times; i++) said += Number(announcement.look());
    t.is(said, refreshed);
    return said;
  };
  t.is(look(inPrivate, 3), 0, 'it does not listen yet');
  server._announcer = announcer;
  const looks = limits.peer_announce_interval_ms / limits.peer_stall_look_ms;
  for (const announcement of [inPrivate, inPublic]) {
    t.is(look(announcement, 1), 1, 'at once');
    t.is(look(announcement, 14), 3, 'after 2, 4 and 8 more');
    t.is(look(announcement, 10 * looks), 10, 'then once a minute');
  }
  announcer.relays.push('a node');
  t.is(look(inPrivate, 10 * looks), 10);
  t.is(look(inPublic, 10 * looks), 0);
  announcer.relays.pop();
  t.is(look(inPublic, 1), 1, 'soon again when it is lost');
});

function joinSwarm(t: Assertions, name: string, port: number, keyPair: KeyPair): Swarm {
  return newSwarm(t, name, port, { keyPair });
}

function joinTopic(t: Assertions, name: string, port: number, topic: Buffer): Swarm {
  return newSwarm(t, name, port, { topic });
}

function newSwarm(
  t: Assertions,
  name: string,
  port: number,
  options: { keyPair?: KeyPair; topic?: Buffer },
): Swarm {
  const store = new Corestore(join(temporaryFolder(t, 'announcement'), name));
  t.teardown(() => store.close(), { order: 10, force: true });
  const bootstrap = [{ host: '127.0.0.1', port }];
  const swarm = new Swarm({ ...options, store, bootstrap, log: () => undefined });
  t.teardown(() => swarm.close(), { force: true });
  return swarm;
}

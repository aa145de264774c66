/** What Hypercore forgets is gone on with: two logs behind the guard, over a connection. */
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type Assertions } from 'brittle';
import Hypercore from 'hypercore';
import { GuardedMux } from '../../src/swarm/guarded-mux.js';
import { eventually } from '../sharing/support/shared-drive.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { peerPair } from './support/socket-pair.js';

/** Long enough for what is on its way. */
const QUIET_MS = 200;

interface Pair {
  writer: Hypercore;
  reader: Hypercore;
  /** Of the reader's side. */
  mux: GuardedMux;
}

async function pair(t: Assertions): Promise<Pair> {
  const writer = new Hypercore(temporaryFolder(t));
  await writer.ready();
  const reader = new Hypercore(temporaryFolder(t), writer.key);
  await reader.ready();
  await writer.append([Buffer.from('0'), Buffer.from('1')]);
  const [ofWriter, ofReader] = await peerPair();
  const streams = [ofWriter, ofReader];
  const fault = ({ reason }: { reason: string }): void => t.fail(reason);
  const muxes = streams.map((stream) => new GuardedMux(stream, fault));
  t.teardown(async () => {
    for (const stream of streams) stream.destroy();
    await Promise.all([writer.close(), reader.close()]);
  });
  writer.replicate(ofWriter);
  reader.replicate(ofReader);
  await reader.get(0);
  return { writer, reader, mux: muxes[1] as GuardedMux };
}

test('reminders - the end of a log whose request was lost is asked for again', async (t) => {
  const { writer, reader, mux } = await pair(t);
  const [peer] = reader.peers as unknown as [{ _requestUpgrade: (upgrade: unknown) => boolean }];
  // The moment in which it is asked for passes.
  const request = peer._requestUpgrade;
  let asked = 0;
  peer._requestUpgrade = () => {
    asked++;
    return false;
  };
  await writer.append([Buffer.from('2'), Buffer.from('3')]);
  await eventually('it would be asked for', () => asked > 0);
  await sleep(QUIET_MS);
  peer._requestUpgrade = request;
  await sleep(QUIET_MS);
  t.is(reader.length, 2, 'nobody asks any more');
  mux.remind();
  await eventually('it is asked for again', () => reader.length === 4);
});

test('reminders - a peer that had nothing so often is asked again later', async (t) => {
  const { reader, mux } = await pair(t);
  const [peer] = reader.peers as unknown as [
    { paused: boolean; stats: { notAvailableBackoffs: number; invalidData: number } },
  ];
  peer.stats.notAvailableBackoffs = 32;
  peer.paused = true;
  const got = reader.get(1);
  await sleep(QUIET_MS);
  t.absent(await reader.has(1));
  mux.remind();
  t.is(String(await got), '1');

  peer.paused = true;
  mux.remind();
  t.ok(peer.paused, 'who is paused for something else stays so');
  peer.stats.notAvailableBackoffs = 32;
  peer.stats.invalidData = 1;
  mux.remind();
  t.ok(peer.paused, 'and who sent what does not verify');
});

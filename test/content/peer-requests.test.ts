import { once } from 'node:events';
import { join } from 'node:path';
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import { blocksPerPeer, PeerRequests } from '../../src/content/peer-requests.js';
import { limits } from '../../src/limits.js';
import { temporaryFolder } from '../support/temporary-folder.js';

function openStore(t: Assertions): Corestore {
  const store = new Corestore(join(temporaryFolder(t), 'store'));
  t.teardown(() => store.close(), { force: true });
  return store;
}

test('peer requests - one peer is asked for a lot at once, each of many for less', async (t) => {
  const origin = openStore(t).get({ name: 'log' });
  await origin.ready();
  const reader = openStore(t).get({ key: origin.key });
  await reader.ready();
  const requests = new PeerRequests(reader);
  const inFlight = () => reader.replicator?.peers.map(({ inflightRange }) => inflightRange[0]);
  const connect = async () => {
    const [a, b] = [origin.replicate(true), reader.replicate(false)];
    a.pipe(b).pipe(a);
    await once(reader, 'peer-add');
  };
  await connect();
  t.alike(inFlight(), [limits.peer_blocks_in_flight]);
  for (let peers = 2; peers <= 4; peers++) await connect();
  t.alike(inFlight(), Array(4).fill(limits.peer_blocks_in_flight / 2));
  requests.close();
  t.is(reader.listenerCount('peer-add'), 0);
});

test('peer requests - all peers together are asked for what is read ahead, while they are few', (t) => {
  const readAheadBlocks = limits.readahead_bytes_max / (64 << 10);
  for (const peers of [2, 4, 8]) t.is(blocksPerPeer(peers) * peers, readAheadBlocks);
  t.is(blocksPerPeer(1), limits.peer_blocks_in_flight);
  t.is(blocksPerPeer(0), limits.peer_blocks_in_flight);
  t.is(blocksPerPeer(64), limits.peer_blocks_in_flight_min);
});

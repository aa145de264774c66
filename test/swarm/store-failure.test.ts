/** A block that cannot be stored here is not the fault of who sent it. */
import test, { type Assertions } from 'brittle';
import type Hypercore from 'hypercore';
import { valuesOf } from '../../src/log/values/value-database.js';
import { GuardedMux, type PeerFault } from '../../src/swarm/guarded-mux.js';
import { eventually } from '../sharing/support/shared-drive.js';
import { openStore } from '../support/open-store.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { peerPair } from './support/socket-pair.js';

/** It lies in a file of values. */
const BLOCK_BYTES = 64 << 10;

test('a store that is full - the peer is met anew, and is not accused', async (t) => {
  const stores = [openStore(temporaryFolder(t)), openStore(temporaryFolder(t))] as const;
  t.teardown(() => Promise.all(stores.map((store) => store.close())), { force: true });
  const writer = stores[0].get({ name: 'log' });
  await writer.ready();
  await writer.append([randomBytes(BLOCK_BYTES, 1), randomBytes(BLOCK_BYTES, 2)]);
  const reader = stores[1].get({ key: writer.key });
  await reader.ready();
  const { files } = valuesOf(stores[1].storage);
  const write = files.write.bind(files);
  let refused = 0;
  files.write = () => {
    refused++;
    return Promise.reject(Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' }));
  };

  const first = await connect(t, writer, reader);
  const got = reader.get(0);
  await eventually('the connection is ended', () => first.faults.length > 0);
  t.ok(refused > 0);
  t.alike(
    first.faults.map(({ isHostile }) => isHostile),
    [false],
  );

  files.write = write;
  const second = await connect(t, writer, reader);
  t.ok((await got)?.equals(randomBytes(BLOCK_BYTES, 1)), 'once there is room');
  t.is(second.faults.length, 0);
});

/** Faults are those that the reader finds. */
async function connect(t: Assertions, writer: Hypercore, reader: Hypercore) {
  const [ofWriter, ofReader] = await peerPair();
  const faults: PeerFault[] = [];
  new GuardedMux(ofWriter, () => undefined);
  new GuardedMux(ofReader, (fault) => {
    faults.push(fault);
    ofReader.destroy();
  });
  t.teardown(() => {
    ofWriter.destroy();
    ofReader.destroy();
  });
  writer.replicate(ofWriter);
  reader.replicate(ofReader);
  return { faults };
}

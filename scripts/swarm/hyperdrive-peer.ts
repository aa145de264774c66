/**
 * A machine with a hyperdrive: `node hyperdrive-peer.js JSON`. The origin takes a folder in, and prints its key; another
 * one prints a line when it has found a peer, waits for a line, gets everything, prints how long that took, and serves it
 * until it is killed.
 */
import { once } from 'node:events';
import path from 'node:path';
import { loadHyperdrive } from '../benchmark/competitors/hyperdrive-modules.js';
import { contentOf } from './small-files.js';

export interface HyperdrivePeerRequest {
  /** Folder with hyperdrive. */
  modules: string;
  store: string;
  /** What the origin takes in; where others put it. */
  folder: string;
  bootstrap: string;
  isLoopback: boolean;
  /** Null for the origin. */
  key: string | null;
  bytes: number;
  files: number;
}

const request = JSON.parse(process.argv[2] ?? '') as HyperdrivePeerRequest;
const { Hyperdrive, Corestore, Localdrive, Hyperswarm, HyperDHT } = loadHyperdrive(request.modules);
const store = new Corestore(request.store);
const key = request.key === null ? undefined : Buffer.from(request.key, 'hex');
const drive = new Hyperdrive(store, key);
await drive.ready();
if (key === undefined) await new Localdrive(request.folder).mirror(drive).done();

// As Shoal does it: on one network every port can be reached.
const host = request.isLoopback ? { host: '127.0.0.1' } : {};
const dht = new HyperDHT({ bootstrap: [request.bootstrap], firewalled: false, ...host });
const swarm = new Hyperswarm({ dht });
const connected = new Promise<void>((resolve) => {
  swarm.on('connection', (connection) => {
    connection.on('error', () => undefined);
    store.replicate(connection);
    resolve();
  });
});
const discovery = swarm.join(drive.discoveryKey, { client: true, server: true });
await discovery.flushed();
if (key === undefined) say({ key: drive.key.toString('hex') });
else {
  await connected;
  say({});
  await once(process.stdin, 'data');
  say(await pull());
}

async function pull(): Promise<{ seconds: number; firstByteMs: number | null }> {
  const began = performance.now();
  await drive.update({ wait: true });
  let firstAt: number | null = null;
  let bytes = 0;
  if (request.files === 1) {
    for await (const block of drive.createReadStream('/large')) {
      firstAt ??= performance.now();
      bytes += block.length;
    }
  } else {
    await drive.mirror(new Localdrive(request.folder)).done();
    bytes = contentOf(path.resolve(request.folder)).bytes;
  }
  const seconds = (performance.now() - began) / 1000;
  if (bytes !== request.bytes) throw new Error(`${bytes} bytes came, expected ${request.bytes}`);
  return { seconds, firstByteMs: firstAt === null ? null : firstAt - began };
}

function say(value: object): void {
  console.log(JSON.stringify(value));
}

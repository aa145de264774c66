import { readFileSync } from 'node:fs';
import test from 'brittle';
import createTestnet from 'hyperdht/testnet.js';
import Hyperswarm, { type PeerConnection } from 'hyperswarm';
import { limits } from '../../src/limits.js';
import { widenReceiveBuffer } from '../../src/swarm/receive-buffer.js';

test('receive buffer - as large as the system permits', async (t) => {
  const testnet = await createTestnet(3, { host: '127.0.0.1' });
  t.teardown(() => testnet.destroy(), { order: 10, force: true });
  const swarms = [0, 1].map(() => new Hyperswarm({ bootstrap: testnet.bootstrap }));
  const [first, second] = swarms as [Hyperswarm, Hyperswarm];
  t.teardown(() => Promise.all(swarms.map((swarm) => swarm.destroy())), { force: true });
  const topic = Buffer.alloc(32, 9);
  const connected = new Promise<PeerConnection>((resolve) => second.on('connection', resolve));
  for (const swarm of swarms) swarm.on('connection', (each) => each.on('error', () => undefined));
  await first.join(topic, { server: true, client: false }).flushed();
  second.join(topic, { server: false, client: true });
  const connection = await connected;
  const { socket } = connection.rawStream;
  const before = socket?.getRecvBufferSize() ?? 0;
  widenReceiveBuffer(connection);
  const after = socket?.getRecvBufferSize() ?? 0;
  const permitted = Number(readFileSync('/proc/sys/net/core/rmem_max', 'latin1'));
  t.ok(after >= Math.min(permitted, limits.receive_buffer_bytes), `${before}, then ${after}`);
  if (permitted > before) t.ok(after > before);
  widenReceiveBuffer(connection);
  t.is(socket?.getRecvBufferSize(), after, 'once is enough');
});

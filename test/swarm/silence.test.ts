/** A peer that is silent over UDP is dropped as soon as one over TCP is; this machine's own pauses do not count. */
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type NoiseSecretStream from '@hyperswarm/secret-stream';
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import { limits } from '../../src/limits.js';
import { startBootstrapNode } from '../../src/swarm/bootstrap.js';
import { Silence } from '../../src/swarm/silence.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { freePort } from '../drive/support/private-network.js';
import { LineReader } from '../support/line-reader.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const topic = Buffer.alloc(32, 12);
/** Until what was said at the beginning is confirmed. */
const QUIET_MS = 2000;
const UDP_PEER = fileURLToPath(new URL('support/udp-peer.js', import.meta.url));

/** A connection over UDP that replicates, to a process of its own. */
async function connectedToProcess(
  t: Assertions,
): Promise<{ connection: NoiseSecretStream; pid: number }> {
  const port = await freePort();
  const node = await startBootstrapNode('127.0.0.1', port);
  t.teardown(() => node.close(), { order: 20, force: true });
  const folder = temporaryFolder(t, 'silence');
  const args = [UDP_PEER, join(folder, 'peer'), `${port}`, topic.toString('hex')];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'), { force: true });
  const key = Buffer.from(await new LineReader(child.stdout).next(), 'hex');
  const store = new Corestore(join(folder, 'own'));
  t.teardown(() => store.close(), { order: 10, force: true });
  const met = new Promise<NoiseSecretStream>((resolve) => {
    const bootstrap = [{ host: '127.0.0.1', port }];
    const swarm = new Swarm({
      store,
      topic,
      bootstrap,
      log: () => undefined,
      onConnection: resolve,
    });
    t.teardown(() => swarm.close(), { force: true });
  });
  t.alike(await store.get({ key }).get(0), Buffer.from('x'));
  return { connection: await met, pid: child.pid as number };
}

test('silence - ends a connection over UDP that tells nothing itself', {
  timeout: 60_000,
}, async (t) => {
  const { connection, pid } = await connectedToProcess(t);
  t.absent(connection.rawStream instanceof Socket);
  // What is sent and not confirmed is missed by the transport in the end: after a time that grows with the round trips so far.
  connection.setKeepAlive(0);
  await sleep(QUIET_MS);
  process.kill(pid, 'SIGSTOP');
  const startedMs = performance.now();
  const end = new Promise((resolve) => void connection.once('close', resolve));
  await Promise.race([end, sleep(limits.connection_silence_ms_max + 10_000, null, { ref: false })]);
  t.ok(connection.destroyed);
  const tookMs = performance.now() - startedMs;
  t.ok(tookMs > limits.connection_silence_ms_max - limits.peer_stall_look_ms, `${tookMs} ms`);
  process.kill(pid, 'SIGKILL');
});

test('silence - is looked for, and not timed', (t) => {
  const looks = limits.connection_silence_ms_max / limits.peer_stall_look_ms;
  const silence = new Silence();
  const isSilentAfter = (received: number, count: number): boolean => {
    let isSilent = false;
    for (let look = 0; look < count; look++) isSilent = silence.isSilent(received);
    return isSilent;
  };
  t.absent(isSilentAfter(0, looks), 'the first look has nothing to compare with');
  t.absent(isSilentAfter(7, looks));
  t.absent(isSilentAfter(8, looks), 'something came');
  t.ok(isSilentAfter(8, 1));
});

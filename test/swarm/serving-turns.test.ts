import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import { limits } from '../../src/limits.js';
import { startBootstrapNode } from '../../src/swarm/bootstrap.js';
import { ServingTurns, type TurnTaker } from '../../src/swarm/serving-turns.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { unqueuedMs } from '../../src/swarm/unqueued-time.js';
import { freePort } from '../drive/support/private-network.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const BLOCK_BYTES = 64 << 10;

/** Time that passes only while somebody waits for it. */
class FakeTime {
  nowMs = 0;
  readonly #endMs: number;
  /** Waits without end once the time is over. */
  constructor(endMs: number) {
    this.#endMs = endMs;
  }
  readonly pause = async (timeMs: number): Promise<void> => {
    if (this.nowMs >= this.#endMs) return new Promise(() => undefined);
    this.nowMs += timeMs;
    await nextTurn();
  };
  async over(): Promise<void> {
    while (this.nowMs < this.#endMs) await nextTurn();
  }
}

/** A log of a connection with requests without end. */
class Greedy implements TurnTaker {
  bytes = 0;
  turns = 0;
  waitedMs = 0;
  #joinedMs = 0;
  constructor(
    readonly time: FakeTime,
    readonly line: ServingTurns,
    readonly blockBytes: number,
  ) {
    this.#join();
  }
  async serve(bytes: number): Promise<void> {
    this.turns++;
    this.waitedMs = Math.max(this.waitedMs, this.time.nowMs - this.#joinedMs);
    if (bytes === Number.POSITIVE_INFINITY) return;
    this.bytes += this.blockBytes;
    this.line.pay(this.blockBytes);
    this.#join();
  }
  #join(): void {
    this.#joinedMs = this.time.nowMs;
    this.line.join(this);
  }
}

test('serving turns - while pressed, all get as much as is left for them together', async (t) => {
  const seconds = 20;
  const time = new FakeTime(1000 * seconds);
  const line = new ServingTurns({
    isPressed: () => true,
    nowMs: () => time.nowMs,
    paidByMs: () => time.nowMs,
    pause: time.pause,
  });
  const all = Array.from({ length: 12 }, () => new Greedy(time, line, BLOCK_BYTES));
  await time.over();
  const bytes = all.reduce((sum, each) => sum + each.bytes, 0);
  const share = limits.serve_pressed_bytes_per_second * seconds;
  const blocks = bytes / BLOCK_BYTES;
  t.is(line.pacedBytes, bytes + blocks * limits.serve_block_bytes);
  t.ok(line.pacedBytes <= share + BLOCK_BYTES + limits.serve_block_bytes, 'no more');
  t.ok(line.pacedBytes >= 0.9 * share, 'and no less');
  const turns = all.map((each) => each.turns);
  t.ok(Math.max(...turns) - Math.min(...turns) <= 2, 'as many turns each');
  t.ok(Math.max(...all.map((each) => each.waitedMs)) < limits.host_fetch_stall_ms);
});

test('serving turns - with many, and large blocks, nobody waits until he is given up', async (t) => {
  const time = new FakeTime(30_000);
  const line = new ServingTurns({
    isPressed: () => true,
    nowMs: () => time.nowMs,
    paidByMs: () => time.nowMs,
    pause: time.pause,
  });
  const all = Array.from({ length: 100 }, () => new Greedy(time, line, limits.block_bytes_max));
  await time.over();
  t.ok(
    all.every((each) => each.turns >= 2),
    'all are served again and again',
  );
  const longestMs = Math.max(...all.map((each) => each.waitedMs));
  t.ok(longestMs <= limits.serve_wait_ms_max + limits.serve_look_ms, `${longestMs} ms`);
  t.ok(longestMs < Math.min(limits.peer_stall_ms_max, limits.host_owner_slow_ms));
});

test('serving turns - at once when nothing is pressing, also for who waits already', async (t) => {
  const time = new FakeTime(10_000);
  let isPressed = false;
  const line = new ServingTurns({
    isPressed: () => isPressed,
    nowMs: () => time.nowMs,
    paidByMs: () => time.nowMs,
    pause: time.pause,
  });
  const first = new Greedy(time, line, BLOCK_BYTES);
  t.alike([first.turns, line.pacedBytes], [1, 0]);
  isPressed = true;
  line.pay(limits.block_bytes_max);
  const second = new Greedy(time, line, BLOCK_BYTES);
  t.is(second.turns, 0, 'what was sent is paid for first');
  isPressed = false;
  await nextTurn();
  await nextTurn();
  t.is(second.turns, 1);
  t.ok(time.nowMs <= limits.serve_look_ms);
});

test('serving turns - who left is not served, and one that hangs holds up nobody', async (t) => {
  const time = new FakeTime(2000);
  const line = new ServingTurns({
    isPressed: () => true,
    nowMs: () => time.nowMs,
    paidByMs: () => time.nowMs,
    pause: time.pause,
  });
  line.join({ serve: () => new Promise(() => undefined) });
  const gone = new Greedy(time, line, BLOCK_BYTES);
  line.leave(gone);
  const next = new Greedy(time, line, BLOCK_BYTES);
  await time.over();
  t.is(gone.turns, 0);
  t.ok(next.turns > 10);
});

/** Two stores, and the node that peers of theirs meet at. */
async function openStores(t: Assertions) {
  const node = await startBootstrapNode('127.0.0.1', await freePort());
  t.teardown(() => node.close(), { order: 20, force: true });
  const [a, b] = ['a', 'b'].map((name) => {
    const store = new Corestore(join(temporaryFolder(t, 'turns'), name));
    t.teardown(() => store.close(), { order: 10, force: true });
    return store;
  }) as [Corestore, Corestore];
  return { node, a, b };
}

function swarmOf(t: Assertions, store: Corestore, topic: Buffer, port: number): Swarm {
  const bootstrap = [{ host: '127.0.0.1', port }];
  const swarm = new Swarm({ store, topic, bootstrap, log: () => undefined });
  t.teardown(() => swarm.close(), { force: true });
  return swarm;
}

test('serving turns - over a connection: paced blocks all come, logs that give way to nothing at once', async (t) => {
  const { node, a, b } = await openStores(t);
  const paced = a.get({ name: 'paced' });
  const free = a.get({ name: 'free' });
  const blocks = Array.from({ length: 48 }, (_, i) => Buffer.alloc(BLOCK_BYTES, i));
  await paced.append(blocks);
  await free.append(blocks);
  const topic = Buffer.alloc(32, 7);
  const sender = swarmOf(t, a, topic, node.port);
  let isPressed = true;
  const turns = new ServingTurns({
    isPressed: () => isPressed,
    paidByMs: () => performance.now(),
  });
  const pressedKey = paced.discoveryKey;
  sender.servingOrder = { turnsOf: (_peer, log) => (log.equals(pressedKey) ? turns : null) };
  await sender.announced();
  swarmOf(t, b, topic, node.port);
  const copies = [b.get({ key: paced.key }), b.get({ key: free.key })] as const;
  const began = performance.now();
  await Promise.all(blocks.map((_, i) => copies[1].get(i)));
  const end = limits.serve_upgrade_bytes + limits.serve_block_bytes;
  t.ok(
    turns.pacedBytes <= end,
    'what gives way to nothing is not counted: only the end of the other log',
  );
  const first = blocks.slice(0, 24);
  await Promise.all(first.map((_, i) => copies[0].get(i)));
  const elapsedMs = performance.now() - began;
  const each = BLOCK_BYTES + limits.serve_block_bytes;
  t.ok(turns.pacedBytes >= first.length * each);
  const shareBytes = (elapsedMs * limits.serve_pressed_bytes_per_second) / 1000;
  t.ok(turns.pacedBytes <= shareBytes + 2 * each + end, 'so many a second');
  isPressed = false;
  const before = turns.pacedBytes;
  t.alike(await Promise.all(blocks.map((_, i) => copies[0].get(i))), blocks);
  t.is(turns.pacedBytes, before, 'and then as fast as it goes');
});

test('serving turns - over a connection: a log that grows fast is shown its end now and then only', async (t) => {
  const { node, a, b } = await openStores(t);
  const log = a.get({ name: 'log' });
  await log.append(Buffer.alloc(1));
  const topic = Buffer.alloc(32, 8);
  const sender = swarmOf(t, a, topic, node.port);
  let isPressed = true;
  const turns = new ServingTurns({
    isPressed: () => isPressed,
    paidByMs: () => performance.now(),
  });
  sender.servingOrder = { turnsOf: () => turns };
  await sender.announced();
  swarmOf(t, b, topic, node.port);
  const copy = b.get({ key: log.key });
  await copy.update({ wait: true });
  let ends = 0;
  copy.on('append', () => ends++);
  const beganMs = performance.now();
  for (let i = 0; i < 200; i++) {
    await log.append(Buffer.alloc(1));
    await sleep(1);
  }
  const elapsedMs = performance.now() - beganMs;
  const bytes = (elapsedMs * limits.serve_pressed_bytes_per_second) / 1000;
  t.ok(ends <= bytes / limits.serve_upgrade_bytes + 2, `${ends} in ${elapsedMs} ms`);
  isPressed = false;
  while (copy.length < log.length) await once(copy, 'append');
  t.is(copy.length, log.length);
});

test('unqueued time - stands still while others have the processors', async (t) => {
  const others = Array.from({ length: 4 * availableParallelism() }, () => {
    return new Worker('for (;;);', { eval: true });
  });
  t.teardown(() => Promise.all(others.map((worker) => worker.terminate())), { force: true });
  await Promise.all(others.map((worker) => once(worker, 'online')));
  const began = { wall: performance.now(), own: unqueuedMs() };
  // Busy itself, it gets its share and no more.
  while (performance.now() < began.wall + 300);
  const wall = performance.now() - began.wall;
  const own = unqueuedMs() - began.own;
  t.ok(own > 0 && own < 0.9 * wall, `${own} of ${wall} ms`);
});

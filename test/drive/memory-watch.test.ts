import { setTimeout as sleep } from 'node:timers/promises';
import test from 'brittle';
import { MemoryWatch } from '../../src/drive/memory-watch.js';
import { limits } from '../../src/limits.js';

function work(ms: number): void {
  const { user, system } = process.cpuUsage();
  for (let spent = 0; spent < ms; ) {
    const now = process.cpuUsage();
    spent = (now.user + now.system - user - system) / 1000;
  }
}

test('memory watch: after work it gives memory back, once', async (t) => {
  let released = 0;
  const watch = new MemoryWatch(async () => {
    released++;
  });
  t.teardown(() => watch.close());
  work(limits.idle_release_work_ms_min * 1.2);
  t.is(released, 0, 'not while it works');
  for (let wait = 0; released === 0 && wait < 600; wait++) await sleep(100);
  t.is(released, 1);
  await sleep(2.5 * limits.idle_look_interval_ms);
  t.is(released, 1, 'nothing was done since');
});

test('memory watch: a large process looks for garbage while it works', async (t) => {
  const needed = Buffer.alloc(limits.resident_bytes_collected_min + (20 << 20), 1);
  const garbage = new WeakRef({});
  let released = 0;
  const watch = new MemoryWatch(async () => {
    released++;
  });
  t.teardown(() => watch.close());
  await sleep(1.5 * limits.idle_look_interval_ms);
  t.is(garbage.deref(), undefined);
  t.is(released, 0);
  t.is(needed.at(-1), 1);
});

import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'brittle';
import { limits } from '../../src/limits.js';
import { StoreStream } from '../../src/log/store-stream.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const NORMAL = 0;
const RANDOM = 1;

test('store stream: the kernel may read ahead in files of values as long as they are read in order', (t) => {
  const folder = path.join(temporaryFolder(t), 'db');
  mkdirSync(folder);
  const opened: number[] = [];
  const open = (name: string): number => {
    writeFileSync(path.join(folder, name), 'x');
    const fd = openSync(path.join(folder, name), 'r');
    opened.push(fd);
    return fd;
  };
  let now = 1000;
  const advice: string[] = [];
  const stream = new StoreStream(
    (fd, what) => advice.push(`${fd} ${what}`),
    () => now,
  );
  t.teardown(() => stream.close());
  const first = open('1.blob');
  open('2.sst');

  stream.note(limits.store_stream_look_bytes - 1);
  t.alike(advice, [], 'little is no stream');
  now += limits.store_stream_rest_ms + 1;
  stream.note(limits.store_stream_look_bytes - 1);
  t.alike(advice, [], 'nor is little now and then');
  stream.note(1);
  t.alike(advice, [`${first} ${NORMAL}`]);

  const second = open('3.blob');
  stream.note(limits.store_stream_look_bytes);
  t.alike(advice.splice(0), [`${first} ${NORMAL}`, `${second} ${NORMAL}`], 'one opened meanwhile');

  closeSync(first);
  const other = openSync(path.join(folder, '2.sst'), 'r');
  t.is(other, first, 'the number is used again');
  stream.close();
  t.alike(advice, [`${second} ${RANDOM}`], 'in the end it may not any more');
  stream.close();
  t.is(advice.length, 1);
  for (const fd of opened) closeSync(fd);
});

test('store stream: ends by itself', async (t) => {
  const file = path.join(temporaryFolder(t), '1.blob');
  writeFileSync(file, 'x');
  const fd = openSync(file, 'r');
  const stream = new StoreStream((advised, advice) => {
    if (advised === fd && advice === RANDOM) ended();
  });
  let ended = (): void => undefined;
  const end = new Promise<void>((resolve) => {
    ended = resolve;
  });
  stream.note(limits.store_stream_look_bytes);
  // Its own timer does not keep the process alive.
  const alive = setInterval(() => undefined, 1000);
  await end;
  clearInterval(alive);
  t.pass();
  closeSync(fd);
});

/** Sending to hosts gives way to a program that writes: slowly then, never not at all, and all of it in the end. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'brittle';
import { callControl } from '../../src/control/client.js';
import type { PacedFigures } from '../../src/drive/protection-control.js';
import { runningHolder } from '../../src/drive/store-lock.js';
import { limits } from '../../src/limits.js';
import { askMounted, type DriveMount } from '../support/drive-mount.js';
import { until } from './support/host-process.js';
import { protectedDrive, SYNC, writeRandom } from './support/owner.js';

const MIB = 1 << 20;
const WRITES_MAX = 400;

async function figuresOf(mount: DriveMount): Promise<PacedFigures> {
  return (await askMounted(mount, 'protection')) as PacedFigures;
}

test('giving way - hosts get little while it is written, go on getting it, and all afterwards', {
  timeout: 240_000,
}, async (t) => {
  const { machine, mount } = await protectedDrive(t, 3);
  await until('all hosts are here', async () => (await figuresOf(mount)).reachableHosts === 3);

  // It never pauses until they got something twice.
  const beganMs = performance.now();
  const paced: number[] = [0];
  let writes = 0;
  const write = async (): Promise<number> => {
    writeRandom(mount, `file-${writes % 4}`, MIB + writes);
    writes++;
    await sleep(10);
    return (await figuresOf(mount)).pacedBytes;
  };
  while (paced.length < 3 && writes < WRITES_MAX) {
    const bytes = await write();
    if (bytes > (paced.at(-1) as number) + MIB / 4) paced.push(bytes);
  }
  const seconds = (performance.now() - beganMs) / 1000;
  t.is(paced.length, 3, `hosts go on getting something: ${paced.join(', ')} bytes`);
  const shareBytes = limits.serve_pressed_bytes_per_second * seconds;
  t.ok((paced.at(-1) as number) < shareBytes + MIB, 'no more than their share');

  // While somebody waits for them, nothing gives way: what they get is not counted as held back.
  const awaited = async (): Promise<number> => {
    const socket = runningHolder(path.join(machine.home, 'drives', 'drive', 'lock'))?.socket;
    const figures = await callControl(socket as string, 'protection', { awaited: true });
    return (figures as PacedFigures).pacedBytes;
  };
  let askedMs = performance.now();
  let before = await awaited();
  let compared = 0;
  for (let i = 0; compared < 3 && i < 20; i++) {
    await write();
    const nextMs = performance.now();
    const bytes = await awaited();
    // After a write that took longer nobody was taken to wait any more.
    if (performance.now() - askedMs < limits.sync_awaited_ms) {
      t.is(bytes, before);
      compared++;
    }
    askedMs = nextMs;
    before = bytes;
  }
  t.is(compared, 3);

  await machine.shoal('sync', 'drive', ...SYNC);
  const all = await figuresOf(mount);
  t.is(all.protectedVersion, all.version);
  t.is(all.confirmedContentLength, all.contentLength);
  t.is(all.missingBytes, 0);
});

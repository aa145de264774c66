/** Encodes a chunk log of random blocks, and says what it took of the processor for each GiB of data. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import type { PlanEpoch } from '../src/hosts/plan-record.js';
import { StripeWriter } from '../src/hosts/stripe-writer.js';

const [mib = 256, kib = 96] = process.argv.slice(2).map(Number);
const SCHEMES: [number, number][] = [
  [4, 2],
  [10, 4],
];
const APPENDED_BLOCKS = 64;

const folder = mkdtempSync(path.join(tmpdir(), 'bench-protect-'));
const store = new Corestore(path.join(folder, 'store'));
try {
  await store.ready();
  const content = await core('content');
  const blockBytes = kib << 10;
  const count = Math.floor((mib << 20) / blockBytes);
  while (content.length < count) {
    const blocks = Array.from({ length: Math.min(APPENDED_BLOCKS, count - content.length) }, () => {
      const block = Buffer.alloc(blockBytes, content.length & 0xff);
      for (let i = 0; i + 8 <= blockBytes; i += 64) block.writeDoubleLE(Math.random(), i);
      return block;
    });
    await content.append(blocks);
  }
  for (const [data, parity] of SCHEMES) await measure(content, data, parity);
} finally {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
}

async function core(name: string): Promise<Hypercore> {
  const opened = store.get({ name });
  await opened.ready();
  return opened;
}

async function measure(content: Hypercore, data: number, parity: number): Promise<void> {
  const epochs: PlanEpoch[] = [
    { fromBlock: 0, kind: 'erasure', data, parity, stripeBase: 0, parityBase: 0 },
  ];
  const writer = new StripeWriter({
    content,
    stripes: await core(`stripes ${data} ${parity}`),
    parity: await core(`parity ${data} ${parity}`),
    isGarbage: () => false,
    claimSpace: () => undefined,
  });
  const before = process.cpuUsage();
  const beganMs = performance.now();
  let bytes = 0;
  let longestMs = 0;
  for (;;) {
    let stepMs = performance.now();
    const batch = await writer.encodeBatch(epochs, () => {
      const now = performance.now();
      longestMs = Math.max(longestMs, now - stepMs);
      stepMs = now;
      return undefined;
    });
    if (batch.stripes === 0) break;
    bytes += batch.bytes;
  }
  const { user, system } = process.cpuUsage(before);
  const gib = bytes / 2 ** 30;
  const cpuSec = (user + system) / 1e6 / gib;
  const wallSec = (performance.now() - beganMs) / 1000 / gib;
  console.log(
    `${data} + ${parity}, blocks of ${kib} KiB: ${cpuSec.toFixed(2)} s of processor time and ${wallSec.toFixed(2)} s a GiB of data; longest step ${longestMs.toFixed(1)} ms`,
  );
}

/** Runs in a thread of its own: reads stored blocks, and decrypts them, and those that others have read. */
import { read } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { blockPaddingBytes, decryptWith, openWith, type SealingKeys } from '../log/aead.js';
import { openGathered, openStretch } from '../log/sectors.js';
import type { OpenReply, OpenRequest, OpenThreadData, SealedBlock } from './open-messages.js';
import { nextRun, type ReadRun } from './read-runs.js';

const { key, associatedData, reading } = workerData as OpenThreadData;
const keys: SealingKeys = { key: Buffer.from(key), associatedData: Buffer.from(associatedData) };

/** Memory for reading that nobody uses. */
const free = reading.map(({ buffer, byteOffset, length }) =>
  Buffer.from(buffer, byteOffset, length),
);
const runBytesMax = free[0]?.length ?? 0;

interface Work {
  request: OpenRequest;
  run: ReadRun;
  reply: OpenReply;
  /** Once it is being read: where to, and how many bytes that were. */
  memory: Buffer | null;
  reading: Promise<number> | null;
}

/** In order. The first ones are being read. */
const waiting: Work[] = [];
let isWorking = false;

parentPort?.on('message', (request: OpenRequest) => {
  const reply: OpenReply = [];
  let from = 0;
  do {
    const run = nextRun(request.blocks, from, runBytesMax);
    waiting.push({ request, run, reply, memory: null, reading: null });
    from += run.blocks.length;
  } while (from < request.blocks.length);
  readAhead();
  if (!isWorking) void work();
});

/** While one stretch is decrypted, the next ones are being read. */
async function work(): Promise<void> {
  isWorking = true;
  for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
    const { request, run, reply, memory } = next;
    const bytes = await (next.reading ?? 0);
    const stored = memory?.subarray(0, bytes) ?? null;
    for (const block of run.blocks) reply.push(open(request.memory, block, run, stored));
    if (reply.length === request.blocks.length) parentPort?.postMessage(reply);
    waiting.shift();
    if (memory !== null) free.push(memory);
    readAhead();
  }
  isWorking = false;
}

function readAhead(): void {
  for (const next of waiting) {
    if (next.reading !== null || next.run.length === 0) continue;
    const memory = free.pop();
    if (memory === undefined) return;
    next.memory = memory;
    next.reading = readRun(next.run, memory);
  }
}

/** Resolves with how many bytes were read: none where that failed, which whoever reads in the common way is told. */
function readRun({ fd, offset, length }: ReadRun, memory: Buffer): Promise<number> {
  return new Promise((resolve) => {
    read(fd, memory, 0, length, offset, (error, bytes) => resolve(error === null ? bytes : 0));
  });
}

function open(
  memory: SharedArrayBuffer,
  { start, length, index, layout, source }: SealedBlock,
  { offset }: ReadRun,
  stored: Buffer | null,
): boolean {
  const target = Buffer.from(memory, start, length);
  if (source === null) {
    return layout === 'sectors'
      ? openGathered(keys, index, target)
      : openWith(keys, target) !== null;
  }
  const at = source.offset - offset;
  const sealed = stored?.subarray(at, at + source.length);
  if (sealed?.length !== source.length) return false;
  if (layout === 'sectors') {
    const stretch = { first: 0, offset: 0, length: sealed.length };
    return openStretch(keys, index, sealed.length, stretch, sealed, target)?.length === length;
  }
  if (sealed.length !== length + blockPaddingBytes) return false;
  return decryptWith(keys, sealed, sealed.subarray(blockPaddingBytes), target);
}

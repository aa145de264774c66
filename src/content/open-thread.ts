/** Runs in a thread of its own: reads stored blocks, and decrypts them, and those that others have read. */
import { read } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { blockPaddingBytes, decryptWith, openWith, type SealingKeys } from '../log/aead.js';
import { openGathered, openStretch } from '../log/sectors.js';
import { crc32 } from '../log/values/checksum.js';
import type { OpenReply, OpenRequest, OpenThreadData, SealedBlock } from './open-messages.js';
import { type ReadRun, runsOfBlocks } from './read-runs.js';
import type { Numbered } from './work-thread.js';

const { key, associatedData, reading } = workerData as OpenThreadData;
const keys: SealingKeys = { key: Buffer.from(key), associatedData: Buffer.from(associatedData) };

/** Memory for reading that nobody uses. */
const free = reading.map(({ buffer, byteOffset, length }) =>
  Buffer.from(buffer, byteOffset, length),
);
const runBytesMax = free[0]?.length ?? 0;

/** A stretch of a request, and who is told when all of it is done. */
interface Work {
  run: ReadRun;
  request: Request;
}

/** A request that is under way. */
interface Request {
  id: number;
  memory: SharedArrayBuffer;
  areOpen: OpenReply;
  /** Blocks that are not done. */
  left: number;
}

/** What there is no memory for yet, in order. */
const waiting: Work[] = [];

parentPort?.on('message', ({ id, content: { memory, blocks } }: Numbered<OpenRequest>) => {
  const request: Request = { id, memory, areOpen: [], left: blocks.length };
  if (blocks.length === 0) answer(request);
  for (const run of runsOfBlocks(blocks, runBytesMax)) waiting.push({ run, request });
  readNext();
});

/** While one stretch is decrypted, others are being read; one that the disk is slow with holds up no other. */
function readNext(): void {
  while (waiting.length > 0) {
    const { run } = waiting[0] as Work;
    const memory = run.length === 0 ? null : free.pop();
    if (memory === undefined) return;
    const work = waiting.shift() as Work;
    if (memory === null) {
      finish(work, null);
      continue;
    }
    read(run.fd, memory, 0, run.length, run.offset, (error, bytes) => {
      // Whoever reads in the common way is told of an error.
      finish(work, error === null ? memory.subarray(0, bytes) : null);
      free.push(memory);
      readNext();
    });
  }
}

function finish({ run, request }: Work, stored: Buffer | null): void {
  const { memory, areOpen } = request;
  for (const [i, block] of run.blocks.entries()) {
    areOpen[run.first + i] = open(memory, block, run, stored);
  }
  request.left -= run.blocks.length;
  if (request.left === 0) answer(request);
}

function answer({ id, areOpen }: Request): void {
  const reply: Numbered<OpenReply> = { id, content: areOpen };
  parentPort?.postMessage(reply);
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
  // The cipher does not say which block it is.
  if (sealed.length !== length + blockPaddingBytes || crc32(sealed) !== source.checksum)
    return false;
  return decryptWith(keys, sealed, sealed.subarray(blockPaddingBytes), target);
}

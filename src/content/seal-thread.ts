/** Runs in a thread of its own: compresses and encrypts batches of blocks, and hashes them for the log's Merkle tree. */
import { parentPort, workerData } from 'node:worker_threads';
import { leafHash } from '../log/leaf-hashes.js';
import { crc32 } from '../log/values/checksum.js';
import { sealBlock } from './seal-block.js';
import {
  hashBytes,
  type SealAnswer,
  type SealRequest,
  type SealThreadData,
} from './seal-messages.js';
import type { Numbered } from './work-thread.js';

const { key, associatedData, layout } = workerData as SealThreadData;
const keys = { key: Buffer.from(key), associatedData: Buffer.from(associatedData) };

parentPort?.on('message', ({ id, content }: Numbered<SealRequest>) => {
  const { memory, sealed, hashes, rooms, first } = content;
  const results = Buffer.from(hashes);
  let start = 0;
  let sealedStart = 0;
  const answer: SealAnswer = { lengths: [], checksums: [] };
  for (const [index, room] of rooms.entries()) {
    const plain = Buffer.from(memory, start, room.bytes);
    const target = Buffer.from(sealed, sealedStart, room.sealedBytes);
    const block = target.subarray(0, sealBlock(keys, layout, first + index, plain, room, target));
    leafHash(block).copy(results, index * hashBytes);
    answer.lengths.push(block.length);
    answer.checksums.push(crc32(block));
    start += room.bytes;
    sealedStart += room.sealedBytes;
  }
  const reply: Numbered<SealAnswer> = { id, content: answer };
  parentPort?.postMessage(reply);
});

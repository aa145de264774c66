/** Runs in a thread of its own: compresses and encrypts batches of blocks, and hashes them for the log's Merkle tree. */
import { parentPort, workerData } from 'node:worker_threads';
import { leafHash } from '../log/leaf-hashes.js';
import { sealBlock } from './seal-block.js';
import { hashBytes, type SealRequest, type SealThreadData } from './seal-messages.js';

const { key, associatedData } = workerData as SealThreadData;
const keys = { key: Buffer.from(key), associatedData: Buffer.from(associatedData) };

parentPort?.on('message', ({ memory, hashes, rooms }: SealRequest) => {
  const blocks = Buffer.from(memory);
  const results = Buffer.from(hashes);
  let start = 0;
  const lengths: number[] = [];
  for (const [index, room] of rooms.entries()) {
    const memory = blocks.subarray(start, start + room.bytes);
    const length = sealBlock(keys, memory, room);
    leafHash(memory.subarray(0, length)).copy(results, index * hashBytes);
    lengths.push(length);
    start += room.bytes;
  }
  parentPort?.postMessage(lengths);
});

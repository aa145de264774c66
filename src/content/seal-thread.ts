/** Runs in a thread of its own: compresses and encrypts batches of blocks, and hashes them for the log's Merkle tree. */
import { parentPort, workerData } from 'node:worker_threads';
import { leafHash } from '../log/leaf-hashes.js';
import { sealBlock } from './seal-block.js';
import { hashBytes, type SealRequest, type SealThreadData } from './seal-messages.js';

const { key, associatedData, layout } = workerData as SealThreadData;
const keys = { key: Buffer.from(key), associatedData: Buffer.from(associatedData) };

parentPort?.on('message', ({ memory, sealed, hashes, rooms, first }: SealRequest) => {
  const results = Buffer.from(hashes);
  let start = 0;
  let sealedStart = 0;
  const lengths: number[] = [];
  for (const [index, room] of rooms.entries()) {
    const plain = Buffer.from(memory, start, room.bytes);
    const target = Buffer.from(sealed, sealedStart, room.sealedBytes);
    const length = sealBlock(keys, layout, first + index, plain, room, target);
    leafHash(target.subarray(0, length)).copy(results, index * hashBytes);
    lengths.push(length);
    start += room.bytes;
    sealedStart += room.sealedBytes;
  }
  parentPort?.postMessage(lengths);
});

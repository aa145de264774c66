/** Runs in a thread of its own: encrypts batches of blocks, and hashes them for the log's Merkle tree. */
import { parentPort, workerData } from 'node:worker_threads';
import { blockPaddingBytes, sealWith } from '../log/encryption.js';
import { leafHash } from '../log/leaf-hashes.js';
import { hashBytes, type SealRequest, type SealThreadData } from './seal-messages.js';

const { key, associatedData } = workerData as SealThreadData;
const keys = { key: Buffer.from(key), associatedData: Buffer.from(associatedData) };

parentPort?.on('message', ({ memory, hashes, ends }: SealRequest) => {
  const blocks = Buffer.from(memory);
  const results = Buffer.from(hashes);
  let start = 0;
  for (const [index, end] of ends.entries()) {
    const block = blocks.subarray(start, end);
    sealWith(keys, block.subarray(blockPaddingBytes), block);
    leafHash(block).copy(results, index * hashBytes);
    start = end;
  }
  parentPort?.postMessage(null);
});

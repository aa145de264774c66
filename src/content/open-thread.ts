/** Runs in a thread of its own: decrypts blocks. */
import { parentPort, workerData } from 'node:worker_threads';
import { openWith } from '../log/encryption.js';
import type { OpenReply, OpenRequest, OpenThreadData } from './open-messages.js';

const { key, associatedData } = workerData as OpenThreadData;
const keys = { key: Buffer.from(key), associatedData: Buffer.from(associatedData) };

parentPort?.on('message', ({ memory, starts, lengths }: OpenRequest) => {
  const reply: OpenReply = starts.map((start, index) => {
    const block = Buffer.from(memory, start, lengths[index]);
    return openWith(keys, block) !== null;
  });
  parentPort?.postMessage(reply);
});

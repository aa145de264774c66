/** Runs in a thread of its own: decrypts blocks. */
import { parentPort, workerData } from 'node:worker_threads';
import { openWith } from '../log/aead.js';
import { openGathered } from '../log/sectors.js';
import type { OpenReply, OpenRequest, OpenThreadData } from './open-messages.js';

const { key, associatedData } = workerData as OpenThreadData;
const keys = { key: Buffer.from(key), associatedData: Buffer.from(associatedData) };

parentPort?.on('message', ({ memory, blocks }: OpenRequest) => {
  const reply: OpenReply = blocks.map(({ start, length, index, layout }) => {
    const block = Buffer.from(memory, start, length);
    return layout === 'sectors' ? openGathered(keys, index, block) : openWith(keys, block) !== null;
  });
  parentPort?.postMessage(reply);
});

import test from 'brittle';
import {
  decodeLeaseMessage,
  encodeLeaseMessage,
  type LeaseMessage,
} from '../../src/drive/lease-messages.js';
import { DamagedError } from '../../src/errors.js';

const secrets = {
  leaseKey: Buffer.alloc(32, 1),
  handshakeHash: Buffer.alloc(64, 2),
  senderIsInitiator: true,
};
const lengths = { treeFork: 1, treeLength: 70_000, contentFork: 0, contentLength: 2 ** 40 };
const messages: LeaseMessage[] = [
  { type: 'writing', storeId: Buffer.alloc(16, 3), generation: 70_000 },
  { type: 'request', storeId: Buffer.alloc(16, 4) },
  { type: 'granted', to: Buffer.alloc(16, 5), generation: 300, lengths },
  { type: 'not-mine' },
];

test('lease messages - are read as they were written', (t) => {
  for (const message of messages) {
    t.alike(decodeLeaseMessage(encodeLeaseMessage(message, secrets), secrets), message);
  }
});

test('lease messages - of another key, connection or direction are refused', async (t) => {
  for (const message of messages) {
    const bytes = encodeLeaseMessage(message, secrets);
    for (const other of [
      { ...secrets, leaseKey: Buffer.alloc(32, 9) },
      { ...secrets, handshakeHash: Buffer.alloc(64, 9) },
      { ...secrets, senderIsInitiator: false },
    ]) {
      await t.exception(() => decodeLeaseMessage(bytes, other), DamagedError);
    }
  }
});

test('lease messages - any changed or missing byte is refused', (t) => {
  for (const message of messages) {
    const bytes = encodeLeaseMessage(message, secrets);
    let accepted = 0;
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes);
      changed[i] = (changed[i] ?? 0) ^ 1;
      if (!isRefused(changed)) accepted++;
      if (!isRefused(bytes.subarray(0, i))) accepted++;
    }
    if (!isRefused(Buffer.concat([bytes, Buffer.alloc(1000)]))) accepted++;
    t.is(accepted, 0, message.type);
  }
});

function isRefused(bytes: Buffer): boolean {
  try {
    decodeLeaseMessage(bytes, secrets);
    return false;
  } catch (error) {
    if (error instanceof DamagedError) return true;
    throw error;
  }
}

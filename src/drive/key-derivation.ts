/**
 * Everything a drive needs to know follows from one secret by keyed BLAKE2b under named contexts, so a weaker secret
 * is computed from a stronger one and never the other way. Documented in docs/protocol.md.
 */

import type { CoreManifest, KeyPair } from 'hypercore';
// The part of Hypercore that makes keys: most commands need keys, and nothing else of it.
import Verifier from 'hypercore/lib/verifier.js';
import { deriveKey } from '../log/derive-key.js';
import { sodium } from '../log/sodium.js';

/** Bytes of every secret and key. */
export const KEY_BYTES = 32;
const DRIVE_ID_BYTES = 16;

/** The version of the log manifest is part of a log's key: it must never follow the library's default. */
const MANIFEST_VERSION = 1;

/** A log that this drive's writer signs. */
export interface WritableLog {
  keyPair: KeyPair;
  manifest: CoreManifest;
  /** The log's key: the hash of its manifest. */
  key: Buffer;
}

/** What the write seed yields. */
export interface WriterKeys {
  treeLog: WritableLog;
  contentLog: WritableLog;
  /** Logs of a drive that hosts keep safe: schemes and hosts, stripes, parity blocks. */
  planLog: WritableLog;
  stripeLog: WritableLog;
  parityLog: WritableLog;
  readSecret: Buffer;
  /** Proves to another writer that one is a writer, too. */
  leaseKey: Buffer;
  /** Of the file in which fsync notes what is not committed yet. */
  journalKey: Buffer;
}

function writableLog(seed: Buffer, context: string): WritableLog {
  const publicKey = Buffer.alloc(sodium.crypto_sign_PUBLICKEYBYTES);
  const secretKey = Buffer.alloc(sodium.crypto_sign_SECRETKEYBYTES);
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, deriveKey(seed, context));
  const manifest: CoreManifest = { version: MANIFEST_VERSION, signers: [{ publicKey }] };
  const key = Verifier.manifestHash(Verifier.createManifest(manifest));
  return { keyPair: { publicKey, secretKey }, manifest, key };
}

/** The keys of a drive's only writer. */
export function deriveWriterKeys(seed: Buffer): WriterKeys {
  return {
    treeLog: writableLog(seed, 'shoal tree log signer 1'),
    contentLog: writableLog(seed, 'shoal content log signer 1'),
    planLog: writableLog(seed, 'shoal plan log signer 1'),
    stripeLog: writableLog(seed, 'shoal stripe log signer 1'),
    parityLog: writableLog(seed, 'shoal parity log signer 1'),
    readSecret: deriveKey(seed, 'shoal read secret 1'),
    leaseKey: deriveKey(seed, 'shoal writer lease 1'),
    journalKey: deriveKey(seed, 'shoal sync journal 1'),
  };
}

/** Secret of the encryption of all logs; each log's key is derived from it (`src/log/encryption.ts`). */
export function deriveEncryptionSecret(readSecret: Buffer): Buffer {
  return deriveKey(readSecret, 'shoal encryption 1');
}

/** Key of the hash by which chunks are found again. */
export function deriveChunkHashKey(readSecret: Buffer): Buffer {
  return deriveKey(readSecret, 'shoal chunk hash 1');
}

/** Key that decides where content is cut, so that chunk sizes do not betray a known file. */
export function deriveChunkerKey(readSecret: Buffer): Buffer {
  return deriveKey(readSecret, 'shoal chunker 1');
}

/** A public name of the drive, the same for everybody who has any of its keys. 16 bytes. */
export function deriveDriveId(treeLogKey: Buffer): Buffer {
  return deriveKey(treeLogKey, 'shoal drive id 1', undefined, DRIVE_ID_BYTES);
}

/** A new write seed. */
export function createSeed(): Buffer {
  const seed = Buffer.alloc(KEY_BYTES);
  sodium.randombytes_buf(seed);
  return seed;
}

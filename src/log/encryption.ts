import type { CoreContext, EncryptionProvider } from 'hypercore';
import { DamagedError } from '../errors.js';
import { deriveKey } from './derive-key.js';
import { sodium } from './sodium.js';

const nonceBytes = 24;
const tagBytes = 16;

/** In front of every block: a random nonce, then the tag. */
export const blockPaddingBytes = nonceBytes + tagBytes;

const keyContext = 'shoal log key 1';

/** An encryption provider that can also work on blocks outside of Hypercore, which would copy them first. */
export interface LogEncryption extends EncryptionProvider {
  /** Encrypts `plain` into `block`, 40 bytes longer; `plain` may be the end of `block`. */
  seal(plain: Buffer, block: Buffer, core: CoreContext): void;
  /** For {@link sealWith} and {@link openWith}, in another thread. */
  sealingKeys(core: CoreContext): SealingKeys;
  /**
   * The plaintext of a stored block: with `inPlace` in that block's memory, else in a buffer of its own.
   * Throws DamagedError when the block does not authenticate.
   */
  open(index: number, block: Buffer, core: CoreContext, inPlace: boolean): Buffer;
}

/** What the blocks of one log are encrypted with. */
export interface SealingKeys {
  key: Buffer;
  associatedData: Buffer;
}

/** As {@link LogEncryption.seal}. */
export function sealWith(keys: SealingKeys, plain: Uint8Array, block: Uint8Array): void {
  const nonce = block.subarray(0, nonceBytes);
  sodium.randombytes_buf(nonce);
  sodium.crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
    block.subarray(blockPaddingBytes),
    block.subarray(nonceBytes, blockPaddingBytes),
    plain,
    keys.associatedData,
    null,
    nonce,
    keys.key,
  );
}

/**
 * Decrypts a stored block in its own memory; answers the plaintext there, or null when the block is not authentic. Its
 * memory may hold anything then.
 */
export function openWith(keys: SealingKeys, block: Buffer): Buffer | null {
  if (block.length < blockPaddingBytes) return null;
  const cipher = block.subarray(blockPaddingBytes);
  try {
    decryptInto(cipher, cipher, block, keys);
  } catch {
    return null;
  }
  return cipher;
}

/** Throws when the block does not authenticate. */
function decryptInto(plain: Buffer, cipher: Buffer, block: Buffer, keys: SealingKeys): void {
  sodium.crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
    plain,
    null,
    cipher,
    block.subarray(nonceBytes, blockPaddingBytes),
    keys.associatedData,
    block.subarray(0, nonceBytes),
    keys.key,
  );
}

/** Whether a core's encryption is one of `createEncryptionProvider`. */
export function isLogEncryption(
  encryption: EncryptionProvider | null,
): encryption is LogEncryption {
  return encryption !== null && 'seal' in encryption && 'open' in encryption;
}

/**
 * XChaCha20-Poly1305 of every block of a log, with the log's public key as associated data and a key of its own for
 * each log. The nonce is random, not the block's number: a store that was put back from an older copy would else use
 * a nonce twice. Where a block stands in its log is vouched for by the log's signed tree.
 *
 * Stored block: nonce (24 bytes), tag (16 bytes), ciphertext (as long as the plaintext).
 *
 * @param secret 32 bytes that every reader of the drive has.
 */
export function createEncryptionProvider(secret: Buffer): LogEncryption {
  const keys = new WeakMap<CoreContext, Buffer>();
  const keyOf = (core: CoreContext): Buffer => {
    let key = keys.get(core);
    if (key === undefined) {
      key = deriveKey(secret, keyContext, core.key);
      keys.set(core, key);
    }
    return key;
  };

  const sealingKeys = (core: CoreContext): SealingKeys => ({
    key: keyOf(core),
    associatedData: core.key,
  });
  const seal = (plain: Buffer, block: Buffer, core: CoreContext): void =>
    sealWith(sealingKeys(core), plain, block);

  const open = (index: number, block: Buffer, core: CoreContext, inPlace: boolean): Buffer => {
    checkLength(index, block, core);
    const cipher = block.subarray(blockPaddingBytes);
    const plain = inPlace ? cipher : Buffer.allocUnsafeSlow(cipher.length);
    try {
      decryptInto(plain, cipher, block, sealingKeys(core));
    } catch (error) {
      throw damaged(core, index, 'wrong key or damaged block', error);
    }
    return plain;
  };

  return {
    padding: () => blockPaddingBytes,
    // Hypercore hands in copies, so both work where the block lies.
    encrypt: (_index, block, _fork, core) => seal(block.subarray(blockPaddingBytes), block, core),
    decrypt: (index, block, core) => {
      open(index, block, core, true);
    },
    seal,
    sealingKeys,
    open,
  };
}

function checkLength(index: number, block: Buffer, core: CoreContext): void {
  if (block.length >= blockPaddingBytes) return;
  throw damaged(core, index, `damaged block, it has ${block.length} bytes, at least 40 expected`);
}

function damaged(core: CoreContext, index: number, why: string, cause?: unknown): DamagedError {
  const log = core.key.toString('hex', 0, 4);
  return new DamagedError(
    `Cannot read block ${index} of log '${log}': ${why}`,
    cause === undefined ? {} : { cause },
  );
}

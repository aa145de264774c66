/** XChaCha20-Poly1305 (IETF), as blocks and the sync journal are sealed with it: `docs/format.md`, "Encryption". */
import { sodium } from './sodium.js';

const nonceBytes = 24;
const tagBytes = 16;

/** In front of every ciphertext: a random nonce, then the tag. */
export const blockPaddingBytes = nonceBytes + tagBytes;

/** What the blocks of one log are encrypted with. */
export interface SealingKeys {
  key: Buffer;
  associatedData: Buffer;
}

/**
 * Encrypts `plain` into `cipher`, as long and either the same memory or other. What decrypts it goes to `head`,
 * {@link blockPaddingBytes}.
 */
export function encryptWith(
  { key, associatedData }: SealingKeys,
  plain: Uint8Array,
  head: Uint8Array,
  cipher: Uint8Array,
): void {
  const nonce = head.subarray(0, nonceBytes);
  sodium.randombytes_buf(nonce);
  sodium.crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
    cipher,
    head.subarray(nonceBytes, blockPaddingBytes),
    plain,
    associatedData,
    null,
    nonce,
    key,
  );
}

/** The other way round. False when it is not authentic: `plain` may hold anything then. */
export function decryptWith(
  { key, associatedData }: SealingKeys,
  head: Uint8Array,
  cipher: Uint8Array,
  plain: Uint8Array,
): boolean {
  try {
    sodium.crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
      plain,
      null,
      cipher,
      head.subarray(nonceBytes, blockPaddingBytes),
      associatedData,
      head.subarray(0, nonceBytes),
      key,
    );
    return true;
  } catch {
    return false;
  }
}

/** Encrypts `plain` into `block`, 40 bytes longer; `plain` may be the end of `block`. */
export function sealWith(keys: SealingKeys, plain: Uint8Array, block: Uint8Array): void {
  encryptWith(keys, plain, block, block.subarray(blockPaddingBytes));
}

/**
 * Decrypts what was sealed so in its own memory; answers the plaintext there, or null when it is not authentic. Its memory may
 * hold anything then.
 */
export function openWith(keys: SealingKeys, block: Buffer): Buffer | null {
  if (block.length < blockPaddingBytes) return null;
  const cipher = block.subarray(blockPaddingBytes);
  return decryptWith(keys, block, cipher, cipher) ? cipher : null;
}

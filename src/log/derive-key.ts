import { sodium } from './sodium.js';

/** Bytes of a secret and of every key derived from one. */
export const keyBytes = 32;

/**
 * Keyed BLAKE2b of a named context, and of `data` bound to it: keys for different purposes, none of which tells
 * anything of another or of the secret.
 *
 * @param secret 32 bytes.
 * @param context What the key is for; at most 255 bytes.
 * @param length 16 to 64 bytes, part of the function.
 */
export function deriveKey(
  secret: Buffer,
  context: string,
  data: Uint8Array = Buffer.alloc(0),
  length: number = keyBytes,
): Buffer {
  if (secret.length !== keyBytes) {
    throw new RangeError(`Cannot derive a key: the secret is ${secret.length} bytes, expected 32`);
  }
  const name = Buffer.from(context);
  if (name.length > 255) throw new RangeError(`Cannot derive a key: context too long`);
  const output = Buffer.alloc(length);
  // The length before the name keeps (name, data) apart from (longer name, shorter data).
  sodium.crypto_generichash(output, Buffer.concat([Buffer.of(name.length), name, data]), secret);
  return output;
}

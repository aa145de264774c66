/** Declarations of the parts of sodium-native 5 that Shoal uses; the package ships none. */
declare module 'sodium-native' {
  const sodium: {
    readonly crypto_aead_xchacha20poly1305_ietf_KEYBYTES: number;
    readonly crypto_aead_xchacha20poly1305_ietf_NPUBBYTES: number;
    readonly crypto_aead_xchacha20poly1305_ietf_ABYTES: number;
    readonly crypto_generichash_BYTES: number;
    readonly crypto_generichash_KEYBYTES: number;
    readonly crypto_sign_SEEDBYTES: number;
    readonly crypto_sign_PUBLICKEYBYTES: number;
    readonly crypto_sign_SECRETKEYBYTES: number;
    readonly crypto_sign_BYTES: number;

    randombytes_buf(buffer: Uint8Array): void;
    randombytes_buf_deterministic(buffer: Uint8Array, seed: Uint8Array): void;
    sodium_memzero(buffer: Uint8Array): void;
    sodium_memcmp(a: Uint8Array, b: Uint8Array): boolean;
    /** BLAKE2b; the output's length (16 to 64) is part of the function. */
    crypto_generichash(output: Uint8Array, input: Uint8Array, key?: Uint8Array): void;
    crypto_generichash_batch(
      output: Uint8Array,
      inputs: readonly Uint8Array[],
      key?: Uint8Array,
    ): void;
    crypto_sign_keypair(publicKey: Uint8Array, secretKey: Uint8Array): void;
    crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void;
    crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void;
    crypto_sign_verify_detached(
      signature: Uint8Array,
      message: Uint8Array,
      publicKey: Uint8Array,
    ): boolean;
    crypto_aead_xchacha20poly1305_ietf_encrypt(
      ciphertext: Uint8Array,
      message: Uint8Array,
      additionalData: Uint8Array | null,
      secretNonce: null,
      nonce: Uint8Array,
      key: Uint8Array,
    ): number;
    /** Throws when the ciphertext does not authenticate. */
    crypto_aead_xchacha20poly1305_ietf_decrypt(
      message: Uint8Array,
      secretNonce: null,
      ciphertext: Uint8Array,
      additionalData: Uint8Array | null,
      nonce: Uint8Array,
      key: Uint8Array,
    ): number;
    crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
      ciphertext: Uint8Array,
      tag: Uint8Array,
      message: Uint8Array,
      additionalData: Uint8Array | null,
      secretNonce: null,
      nonce: Uint8Array,
      key: Uint8Array,
    ): number;
    /** Throws when the ciphertext does not authenticate. */
    crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
      message: Uint8Array,
      secretNonce: null,
      ciphertext: Uint8Array,
      tag: Uint8Array,
      additionalData: Uint8Array | null,
      nonce: Uint8Array,
      key: Uint8Array,
    ): void;
  };
  export default sodium;
}

/** Declarations of the parts of z32 that Shoal uses; the package ships none. */
declare module 'z32' {
  const z32: {
    /** The 32 characters, in order of their value. */
    readonly ALPHABET: string;
    encode(bytes: Uint8Array): string;
    /** Throws on a character that is not in the alphabet. */
    decode(text: string): Buffer;
  };
  export default z32;
}

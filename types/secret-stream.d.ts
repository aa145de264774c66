/** Declarations of the parts of @hyperswarm/secret-stream 6 that Shoal uses; the package ships none. */
declare module '@hyperswarm/secret-stream' {
  import type { Duplex } from 'node:stream';

  /** Noise-encrypted and authenticated, over any ordered stream. Destroys it when it ends, and ends with it. */
  export default class NoiseSecretStream extends Duplex {
    constructor(
      isInitiator: boolean,
      rawStream: Duplex,
      options: {
        pattern: 'IK' | 'XX';
        keyPair: import('hypercore').KeyPair;
        /** Whom the initiator expects; with any other the handshake fails. */
        remotePublicKey?: Buffer;
      },
    );
    readonly isInitiator: boolean;
    /** What it runs over. */
    readonly rawStream: object;
    /** Known once it is opened. */
    readonly remotePublicKey: Buffer;
    readonly handshakeHash: Buffer;
    /** From when its end begins: `destroyed` follows. */
    readonly destroying: boolean;
    readonly rawBytesRead: number;
    readonly rawBytesWritten: number;
    /** Resolves false when it was destroyed before the handshake was over. */
    readonly opened: Promise<boolean>;
    /** Sends an empty message when nothing was sent for so long; such messages are never shown. */
    setKeepAlive(ms: number): void;
    /** Destroys the stream when nothing came for so long. */
    setTimeout(ms: number): void;
  }
}

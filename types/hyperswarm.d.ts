/** Declarations of the parts of hyperswarm 4 that Shoal uses; the package ships none. */
declare module 'hyperswarm' {
  import type { EventEmitter } from 'node:events';
  import type NoiseSecretStream from '@hyperswarm/secret-stream';
  import type HyperDHT from 'hyperdht';

  /** Both throw when the socket is closed. */
  export interface DatagramSocket {
    getRecvBufferSize(): number;
    setRecvBufferSize(bytes: number): unknown;
  }

  /** An encrypted, authenticated stream to a peer, over UDP. */
  export interface PeerConnection extends NoiseSecretStream {
    readonly rawStream: {
      readonly remoteHost: string | null;
      readonly remotePort: number;
      /** Of this stream, those included that only confirm what was sent. */
      readonly packetsReceived: number;
      /** What it comes over; null before it is connected. */
      readonly socket: DatagramSocket | null;
    };
  }

  export interface PeerInfo {
    readonly publicKey: Buffer;
    readonly attempts: number;
    readonly proven: boolean;
    /** Whether the peer is never connected to again, nor let in. */
    ban(banned: boolean): void;
  }

  export interface Discovery {
    /** Resolves when announced and looked up once. */
    flushed(): Promise<unknown>;
    refresh(options?: { client?: boolean; server?: boolean }): Promise<void>;
    destroy(): Promise<void>;
  }

  /** What lets others connect to this peer's identity. */
  export interface AnnouncedServer {
    /** Internal; null until it listens. `relays`: the nodes that took the last announcement. */
    readonly _announcer: { readonly relays: readonly unknown[] } | null;
    /** Announces it anew, soon. */
    refresh(): void;
  }

  export default class Hyperswarm extends EventEmitter {
    constructor(options: {
      dht?: HyperDHT;
      keyPair?: import('hypercore').KeyPair;
      bootstrap?: import('hyperdht').NodeAddress[];
      maxPeers?: number;
      backoffs?: [number, number, number, number];
      jitter?: number;
    });
    readonly dht: HyperDHT;
    readonly server: AnnouncedServer;
    /** This peer's identity. */
    readonly keyPair: import('hypercore').KeyPair;
    readonly connections: Set<PeerConnection>;
    readonly connecting: number;
    readonly peers: Map<string, PeerInfo>;
    readonly destroyed: boolean;
    /** Null until `listen` or `join` as a server. */
    readonly listening: Promise<void> | null;
    /** Announces the identity, so that others can connect to it. */
    listen(): Promise<void>;
    /** Keeps a peer connected that is known by its identity. */
    joinPeer(publicKey: Buffer): void;
    leavePeer(publicKey: Buffer): void;
    join(topic: Buffer, options?: { client?: boolean; server?: boolean }): Discovery;
    flush(): Promise<boolean>;
    destroy(options?: { force?: boolean }): Promise<void>;
    on(event: 'connection', listener: (connection: PeerConnection, info: PeerInfo) => void): this;
    on(event: 'update', listener: () => void): this;
  }
}

/** Declarations of the parts of hypercore 11 that Shoal uses; the package ships none. */
declare module 'hypercore' {
  import type { EventEmitter } from 'node:events';

  /** Transforms blocks in place on their way to and from the log. */
  export interface EncryptionProvider {
    /** Bytes put in front of each block's plaintext. */
    padding(core: CoreContext, index: number): number;
    /** `block` begins with the padding. */
    encrypt(index: number, block: Buffer, fork: number, core: CoreContext): void | Promise<void>;
    /** `block` begins with the padding, and is a copy that may be changed. */
    decrypt(index: number, block: Buffer, core: CoreContext): void | Promise<void>;
  }

  /** A node of the hash tree. */
  export interface TreeNode {
    index: number;
    /** Bytes of all blocks below it. */
    size: number;
    hash: Buffer;
  }

  /** Reads of the store that are done at once. */
  export interface CoreReadBatch {
    /** These settle after `tryFlush`. */
    getTreeNode(index: number): Promise<TreeNode | null>;
    /** The block as stored. */
    getBlock(index: number): Promise<Buffer | null>;
    /** 4,096 bytes, the lowest bit of the first one for the page's first block. */
    getBitfieldPage(index: number): Promise<Buffer | null>;
    hasTreeNode(index: number): Promise<boolean>;
    getHints(): Promise<unknown>;
    getHead(): Promise<unknown>;
    getAuth(): Promise<unknown>;
    getSessions(): Promise<unknown>;
    getDependency(): Promise<unknown>;
    getGroup(): Promise<unknown>;
    getUserData(key: string): Promise<unknown>;
    getMark(index: number): Promise<unknown>;
    getLocal(key: unknown): Promise<unknown>;
    tryFlush(): void;
    /** Instead of `tryFlush`. */
    destroy(): void;
  }

  /** What is known of a log without reading its bitfield. */
  export interface CoreHints {
    contiguousLength: number;
    remoteContiguousLength: number;
    recovering?: number;
  }

  export interface CoreWriteBatch {
    deleteBlock(index: number): void;
    /** Blocks [start, end). */
    deleteBlockRange(start: number, end: number): void;
    putBitfieldPage(page: number, bits: Buffer): void;
    setHints(hints: CoreHints): void;
    putTreeNode(node: TreeNode): void;
    /** What is signed. */
    setHead(head: {
      fork: number;
      length: number;
      rootHash: Buffer;
      signature: Buffer | null;
      timestamp: number;
    }): void;
    putBlock(index: number, stored: Buffer): void;
    deleteTreeNode(index: number): void;
    /** Nodes [start, end); -1: up to the last. */
    deleteTreeNodeRange(start: number, end: number): void;
    /** False when it is not in the store yet. */
    flush(): Promise<boolean>;
  }

  /** The signed state of a log, on disk. Whoever writes holds its lock. */
  export interface CoreState {
    readonly storage: {
      /** With a fork, of the tree's nodes some are kept in memory. */
      read(fork?: number): CoreReadBatch;
      write(): CoreWriteBatch;
      createBlockStream(options?: {
        reverse?: boolean;
        limit?: number;
      }): AsyncIterable<{ index: number; value: Buffer }>;
      createTreeNodeStream(options?: {
        reverse?: boolean;
        limit?: number;
      }): AsyncIterable<TreeNode>;
      /** Names of the log's parts in the store. */
      readonly core: { readonly corePointer: number; readonly dataPointer: number };
    };
    readonly mutex: { lock(): Promise<void>; unlock(): void };
    createWriteBatch(): CoreWriteBatch;
    /** Writes the batch. False when it is written with another one later. */
    flush(): Promise<boolean>;
    _unlock(): void;
  }

  /** Another fork of a log, its signature verified. */
  export interface ReorgBatch {
    readonly fork: number;
    readonly length: number;
    /** Blocks that it has in common with the log here; known once it is to be applied. */
    readonly ancestors: number;
  }

  /** What a provider and a session see of the core below them. */
  export interface CoreContext {
    /** Resolves when it is open, and rejects when it cannot be opened. */
    ready(): Promise<void>;
    /** Verifies the end of another fork that a peer has sent. Throws when it is not signed by the writer. */
    verifyReorg(proof: unknown): Promise<ReorgBatch>;
    /** Takes another fork over. False when nothing was changed. */
    reorg(batch: ReorgBatch): Promise<boolean>;
    readonly state: CoreState;
    /** `rootHash`: what the signature is for. */
    readonly header: { tree: { length: number; rootHash: Buffer | null }; hints: CoreHints };
    readonly hintsChanged: boolean;
    flushHints(): Promise<void>;
    readonly key: Buffer;
    readonly discoveryKey: Buffer;
    readonly id: string;
    readonly manifest: CoreManifest | null;
    readonly bitfield: {
      get(index: number): boolean;
      setRange(start: number, end: number, value: boolean): void;
      /** The first set bit at `position` or behind it; -1 when there is none. */
      firstSet(position: number): number;
      firstUnset(position: number): number;
      countSet(start: number, length: number): number;
      /** The first block from `position` on that is here (`value`), or that is not; -1 for none. */
      findFirst(value: boolean, position: number): number;
    };
    updateContiguousLength(change: { start: number; length: number; drop: boolean }): void;
    _setBitfieldRanges(start: number, end: number, value: boolean): void;
    /**
     * Verifies a block of a peer and stores it: `nodes` are the siblings on the way up to a node that is in the store.
     * Throws INVALID_CHECKSUM and INVALID_OPERATION.
     */
    verify(proof: {
      fork: number;
      block: { index: number; value: Buffer; nodes: TreeNode[] };
      hash: null;
      seek: null;
      upgrade: null;
      manifest: null;
    }): Promise<boolean>;
    readonly replicator: Replicator;
    readonly opened: boolean;
    readonly closed: boolean;
    readonly closing: Promise<void> | null;
  }

  export interface KeyPair {
    publicKey: Buffer;
    secretKey: Buffer;
  }

  export interface CoreSigner {
    publicKey: Buffer;
    namespace?: Buffer;
    signature?: 'ed25519';
  }

  export interface CoreManifest {
    version?: number;
    hash?: 'blake2b';
    quorum?: number;
    allowPatch?: boolean;
    signers: CoreSigner[];
    prologue?: { hash: Buffer; length: number } | null;
    userData?: Buffer | null;
    linked?: Buffer[] | null;
  }

  /** Requests that are cancelled together. Opaque: passed in, given back to `destroyRequests`. */
  export type ActiveRequests = unknown[];

  export interface ReplicatorPeer {
    readonly remotePublicKey: Buffer;
    readonly remoteLength: number;
    readonly remoteFork: number;
    readonly remoteContiguousLength: number;
    /** What it has said to have, as far as it was asked. `firstSet`: at a position or behind it; -1 for none. */
    readonly remoteBitfield: { get(index: number): boolean; firstSet(position: number): number };
    readonly remoteOpened: boolean;
    /** Whether it has said its length and fork. */
    readonly remoteSynced: boolean;
    /** `publicKey`: our own identity. */
    readonly stream: import('hyperswarm').PeerConnection & { readonly publicKey: Buffer };
    /** Messages so far; `wireRange` tell what the peer has. */
    readonly stats: {
      readonly wireRange: { readonly rx: number };
      readonly wireBitfield: { readonly rx: number };
    };
    /** Asks for a map of blocks, and to be told what changes in it; `length` a power of two, `start` a multiple of it. */
    readonly wireWant: { send(stretch: { start: number; length: number; any: boolean }): boolean };
    /** It need not tell any more. */
    readonly wireUnwant: {
      send(stretch: { start: number; length: number; any: boolean }): boolean;
    };
    /** Asks for a block of a range that is downloaded; false when it is not asked for. */
    _requestRangeBlock: (index: number, length: number) => boolean;
    readonly inflight: number;
    /** Blocks that may be asked for at once: at least, and at most where a round trip takes more than 50 ms. */
    inflightRange: [number, number];
    readonly paused: boolean;
    /** Tells the peer that blocks [start, start + length) are here (or, with `drop`, no longer). */
    broadcastRange(start: number, length: number, drop?: boolean): void;
  }

  /** A block that was asked for. */
  export interface PendingBlock {
    readonly index: number;
    /** The requests that are under way; `timestamp` is in ms since 1970. */
    readonly inflight: readonly { readonly peer: ReplicatorPeer; readonly timestamp: number }[];
    /** Who waits for this very block. */
    readonly refs: readonly unknown[];
  }

  export interface Replicator {
    /** Blocks that could be asked of more peers; `pick` says which of them are asked of one. */
    readonly hotswaps: { pick(peer: ReplicatorPeer): Iterable<PendingBlock> };
    readonly peers: ReplicatorPeer[];
    readonly downloading: boolean;
    /** Whether other forks are asked for and taken over. */
    allowFork: boolean;
    findingPeers: number;
    updatePeer(peer: ReplicatorPeer): void;
    updateAll(): void;
    /** Tells all peers that blocks came, or went. */
    onhave(start: number, length: number, drop?: boolean): void;
    cork(): void;
    uncork(): void;
    attachTo(muxer: unknown): void;
    attached(muxer: unknown): boolean;
    /** Newer forks that are being asked for. */
    _reorgs: unknown[];
    /** Asks a peer for its fork, if that is a newer one. */
    _updateFork(peer: ReplicatorPeer): boolean;
    /** Tells a peer which of the blocks [start, start + length) are here. */
    _onwant(peer: ReplicatorPeer, start: number, length: number, any: boolean): void;
  }

  export interface GetOptions {
    /** Default true: ask peers for a block that is missing. Else the result is null. */
    wait?: boolean;
    /** Milliseconds, 0 for ever. */
    timeout?: number;
    /** Gives the block as stored, padding and all. */
    raw?: boolean;
    decrypt?: boolean;
    activeRequests?: ActiveRequests;
    force?: boolean;
    onwait?: (index: number, core: Hypercore) => void;
  }

  export interface DownloadRange {
    start?: number;
    /** Exclusive; -1 follows the log's end. */
    end?: number;
    blocks?: number[] | Set<number>;
    linear?: boolean;
    ifAvailable?: boolean;
    activeRequests?: ActiveRequests;
  }

  export interface Download {
    ready(): Promise<void>;
    /** Resolves false when destroyed. */
    done(): Promise<boolean>;
    destroy(): void;
  }

  export interface AppendOptions {
    keyPair?: KeyPair;
    signature?: Buffer;
    maxLength?: number;
    writable?: boolean;
  }

  export interface AppendResult {
    length: number;
    byteLength: number;
  }

  export interface CoreInfo {
    key: Buffer;
    discoveryKey: Buffer;
    length: number;
    contiguousLength: number;
    byteLength: number;
    fork: number;
    padding: number;
  }

  export interface UpdateOptions {
    wait?: boolean;
    force?: boolean;
    activeRequests?: ActiveRequests;
  }

  export interface SessionOptions {
    wait?: boolean;
    timeout?: number;
    writable?: boolean;
    snapshot?: boolean;
    weak?: boolean;
    active?: boolean;
    exclusive?: boolean;
    name?: string;
    checkout?: number;
    overwrite?: boolean;
    encryption?: EncryptionProvider | null;
    keyPair?: KeyPair;
    onwait?: (index: number, core: Hypercore) => void;
  }

  export interface HypercoreOptions extends SessionOptions {
    key?: Buffer;
    manifest?: CoreManifest;
    createIfMissing?: boolean;
    /** Default true: follow a fork of the writer's. */
    allowFork?: boolean;
    pushOnly?: boolean;
    inflightRange?: [number, number];
  }

  export default class Hypercore extends EventEmitter {
    constructor(
      storage: unknown,
      key?: Buffer | HypercoreOptions | null,
      options?: HypercoreOptions,
    );

    /** The log's key for a manifest (or for a public key with the default manifest). */
    static key(
      manifest: CoreManifest | Buffer,
      options?: { compat?: boolean; version?: number; namespace?: Buffer },
    ): Buffer;
    static discoveryKey(key: Buffer): Buffer;
    static createProtocolStream(
      isInitiator: boolean | unknown,
      options?: Record<string, unknown>,
    ): import('node:stream').Duplex;
    /** Rejects the requests with REQUEST_CANCELLED (or `error`), and those added to them later. */
    static destroyRequests(requests: ActiveRequests, error?: Error): void;
    static clearRequests(requests: ActiveRequests, error?: Error): void;
    static defaultStorage(storage: unknown, options?: Record<string, unknown>): unknown;

    readonly core: CoreContext | null;
    readonly state: {
      readonly storage: {
        read(): CoreReadBatch;
        /** What all logs of the store are in. */
        readonly store: import('corestore').CoreStorage;
        /** `dependencies`: logs of which this one has the beginning. */
        readonly core: { readonly dataPointer: number; readonly dependencies: readonly unknown[] };
      } | null;
    } | null;
    readonly key: Buffer;
    readonly discoveryKey: Buffer;
    readonly id: string;
    readonly keyPair: KeyPair | null;
    readonly manifest: CoreManifest | null;
    readonly encryption: EncryptionProvider | null;
    readonly length: number;
    readonly signedLength: number;
    readonly contiguousLength: number;
    readonly remoteContiguousLength: number;
    readonly byteLength: number;
    readonly padding: number;
    readonly fork: number;
    /** How often a block was not here when it was asked for, since the session was opened. */
    readonly waits: number;
    readonly writable: boolean;
    readonly readable: boolean;
    readonly opened: boolean;
    readonly closed: boolean;
    readonly closing: Promise<void> | null;
    readonly peers: ReplicatorPeer[];
    readonly replicator: Replicator | null;
    readonly activeRequests: ActiveRequests;

    ready(): Promise<void>;
    close(options?: { error?: Error }): Promise<void>;
    append(blocks: Uint8Array | Uint8Array[], options?: AppendOptions): Promise<AppendResult>;
    get(index: number, options?: GetOptions): Promise<Buffer | null>;
    has(start: number, end?: number): Promise<boolean>;
    update(options?: UpdateOptions): Promise<boolean>;
    download(range?: DownloadRange): Download;
    clear(start: number, end?: number): Promise<unknown>;
    truncate(
      length: number,
      options?: number | { fork?: number; keyPair?: KeyPair; signature?: Buffer },
    ): Promise<void>;
    treeHash(length?: number): Promise<Buffer>;
    signable(length?: number, fork?: number): Promise<Buffer>;
    info(options?: { storage?: boolean }): Promise<CoreInfo>;
    session(options?: SessionOptions): Hypercore;
    snapshot(options?: SessionOptions): Hypercore;
    compact(): Promise<void>;
    purge(): Promise<void>;
    setEncryption(encryption: EncryptionProvider | null): Promise<void>;
    setKeyPair(keyPair: KeyPair): void;
    setActive(active: boolean): void;
    getUserData(key: string): Promise<Buffer | null>;
    setUserData(key: string, value: Buffer | string): Promise<void>;
    findingPeers(): () => void;
    replicate(
      isInitiator: boolean | unknown,
      options?: Record<string, unknown>,
    ): import('node:stream').Duplex;

    on(event: 'ready' | 'append' | 'close' | 'manifest' | 'migrate', listener: () => void): this;
    on(event: 'truncate', listener: (ancestors: number, fork: number) => void): this;
    on(
      event: 'download',
      listener: (index: number, byteLength: number, from: ReplicatorPeer) => void,
    ): this;
    on(
      event: 'upload',
      listener: (index: number, byteLength: number, from: ReplicatorPeer) => void,
    ): this;
    on(event: 'peer-add' | 'peer-remove', listener: (peer: ReplicatorPeer) => void): this;
    on(event: 'conflict', listener: (length: number, fork: number, proof: unknown) => void): this;
    on(
      event: 'verification-error',
      listener: (error: Error, request: unknown, response: unknown, from: ReplicatorPeer) => void,
    ): this;
    on(event: string, listener: (...parameters: unknown[]) => void): this;
  }
}

/** For tests that speak the protocol themselves. */
declare module 'hypercore/lib/messages.js' {
  import type { MessageEncoding } from 'protomux';

  type WireName =
    | 'handshake'
    | 'sync'
    | 'request'
    | 'cancel'
    | 'data'
    | 'noData'
    | 'want'
    | 'unwant'
    | 'bitfield'
    | 'range'
    | 'extension';
  export const wire: Record<WireName, MessageEncoding<unknown>>;
}

declare module 'hypercore/lib/caps.js' {
  /** Proves to the other side that the log's key is known here. */
  export function replicate(isInitiator: boolean, key: Buffer, handshakeHash: Buffer): Buffer;
}

declare module 'hypercore/lib/verifier.js' {
  import type { CoreManifest } from 'hypercore';

  /** What `Hypercore.key` calls. */
  const Verifier: {
    /** Fills in what is not said. Throws on what is no manifest. */
    createManifest(manifest: CoreManifest): CoreManifest;
    manifestHash(manifest: CoreManifest): Buffer;
  };
  export default Verifier;
}

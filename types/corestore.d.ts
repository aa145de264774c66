/** Declarations of the parts of corestore 7 that Shoal uses; the package ships none. */
declare module 'corestore' {
  import type { EventEmitter } from 'node:events';
  import type { Duplex } from 'node:stream';
  import type Hypercore from 'hypercore';
  import type { CoreManifest, EncryptionProvider, KeyPair } from 'hypercore';

  export interface CorestoreOptions {
    primaryKey?: Buffer;
    /** Acknowledges that a primary key is handed in. */
    unsafe?: boolean;
    namespace?: Buffer;
    writable?: boolean;
    readOnly?: boolean;
    /** Accept a store that was copied from elsewhere. */
    allowBackup?: boolean;
    /** Wait for the store's lock instead of failing. */
    wait?: boolean;
    manifestVersion?: number;
    active?: boolean;
  }

  export interface CorestoreGetOptions {
    key?: Buffer;
    keyPair?: KeyPair;
    name?: string;
    manifest?: CoreManifest;
    discoveryKey?: Buffer;
    encryption?: EncryptionProvider | null;
    writable?: boolean;
    exclusive?: boolean;
    createIfMissing?: boolean;
    active?: boolean;
    wait?: boolean;
    timeout?: number;
    pushOnly?: boolean;
  }

  export interface RocksBatchOptions {
    /** Once it is flushed. Default false. */
    autoDestroy?: boolean;
  }

  export interface RocksReadBatch {
    /** Settles after `flush` or `tryFlush`. */
    get(key: Buffer): Promise<Buffer | null>;
    flush(): Promise<void>;
    tryFlush(): void;
    destroy(): void;
  }

  export interface RocksWriteBatch {
    tryPut(key: Buffer, value: Buffer): void;
    tryDelete(key: Buffer): void;
    /** Keys from `start` up to `end`. */
    tryDeleteRange(start: Buffer, end: Buffer): void;
    flush(): Promise<void>;
    destroy(): void;
  }

  export interface RocksIteratorOptions {
    gte?: Buffer;
    gt?: Buffer;
    lt?: Buffer;
    /** Default true; else they are null. */
    values?: boolean;
    /** Entries read at once. */
    capacity?: number;
    limit?: number;
  }

  export interface RocksDatabase {
    ready(): Promise<void>;
    iterator(options: RocksIteratorOptions): AsyncIterable<{ key: Buffer; value: Buffer | null }>;
    read(options?: RocksBatchOptions): RocksReadBatch;
    write(options?: RocksBatchOptions): RocksWriteBatch;
    /** Another one of the same database. `columnFamily` and `snapshot` are made of it. */
    session(options?: Record<string, unknown>): RocksDatabase;
    flush(options?: Record<string, unknown>): Promise<void>;
    /** Merges the tables that hold the keys from `start` to `end`. */
    compactRange(start: Buffer, end: Buffer, options?: CompactRangeOptions): Promise<void>;
    /** A property of RocksDB, such as "rocksdb.live-blob-file-garbage-size". */
    getProperty(name: string): Promise<string>;
    close(): Promise<void>;
  }

  export interface CompactRangeOptions {
    exclusive?: boolean;
    /** 0: as the options of the database say; 1: move what is still in use out of old blob files; 2: move nothing. */
    blobGarbageCollectionPolicy?: 0 | 1 | 2;
    /** With policy 1: the oldest files, this share of all. */
    blobGarbageCollectionAgeCutoff?: number;
    /** 2: rewrite also tables that nothing newer overlaps. */
    bottommostLevelCompaction?: 0 | 1 | 2 | 3;
  }

  export interface CoreStorage {
    readonly path: string;
    /** RocksDB's default column family, in which nothing is. */
    readonly rocks: RocksDatabase;
    /** The column family that holds everything: flush this one. */
    readonly db: RocksDatabase;
    ready(): Promise<void>;
    /** Of the first log that was made here; null when nothing is known of any. */
    getDefaultDiscoveryKey(): Promise<Buffer | null>;
    compact(options?: CompactRangeOptions): Promise<void>;
    close(): Promise<void>;
  }

  export default class Corestore extends EventEmitter {
    constructor(storage: string | unknown, options?: CorestoreOptions);
    readonly storage: CoreStorage;
    readonly primaryKey: Buffer | null;
    readonly opened: boolean;
    readonly closed: boolean;
    readonly closing: Promise<void> | null;
    /** Cores open now. */
    readonly cores: Iterable<import('hypercore').CoreContext> & { readonly size: number };

    ready(): Promise<void>;
    /** Calls back for each log that is opened from now on, before it is open. */
    watch(opened: (core: import('hypercore').CoreContext) => void): void;
    close(): Promise<void>;
    get(options: CorestoreGetOptions | Buffer): Hypercore;
    /** `isInitiator` may also be a stream (encrypted already) to replicate over. */
    replicate(isInitiator: boolean | unknown, options?: Record<string, unknown>): Duplex;
    session(options?: CorestoreOptions): Corestore;
    namespace(name: string | Buffer, options?: CorestoreOptions): Corestore;
    list(namespace?: Buffer): AsyncIterable<Buffer>;
    createKeyPair(name: string): Promise<KeyPair>;
    findingPeers(): () => void;
    suspend(): Promise<void>;
    resume(): Promise<void>;
  }
}

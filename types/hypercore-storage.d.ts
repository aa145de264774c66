/** Declarations of the parts of hypercore-storage 3 that Shoal uses; the package ships none. */
declare module 'hypercore-storage' {
  import type { CoreStorage as Storage } from 'corestore';

  interface StorageOptions {
    /** The folder may be a copy of another. */
    allowBackup?: boolean;
    /** Bytes of RocksDB's memtable. */
    writeBufferSize?: number;
    /** A file of large values is not larger. */
    blobFileSize?: number;
    /** Blob files whose age is below this share of all may be collected; 1: all. */
    blobGarbageCollectionAgeCutOff?: number;
    /** A share of garbage above this makes RocksDB collect a blob file by itself. */
    blobGarbageCollectionForceThreshold?: number;
  }

  interface CoreStorage extends Storage {}
  class CoreStorage {
    constructor(directory: string, options?: StorageOptions);
  }
  export default CoreStorage;
}

/** The names of things in the database. */
declare module 'hypercore-storage/lib/keys.js' {
  /** In memory that is used again, all of them. */
  export const store: {
    head(): Buffer;
    core(discoveryKey: Buffer): Buffer;
  };
  export const core: {
    auth(pointer: number): Buffer;
    head(pointer: number): Buffer;
    hints(pointer: number): Buffer;
    block(pointer: number, index: number): Buffer;
    tree(pointer: number, node: number): Buffer;
    bitfield(pointer: number, page: number, type: 0): Buffer;
    userData(pointer: number, key: string): Buffer;
    /** What the keys of all of a log's records begin with. In memory that is used again. */
    data(pointer: number): Buffer;
  };
}

/** What belongs together in the database, read and written in one piece. */
declare module 'hypercore-storage/lib/tx.js' {
  import type { RocksDatabase } from 'corestore';
  import type View from 'hypercore-storage/lib/view.js';

  /** Where a log's records are. */
  export interface CorePointers {
    corePointer: number;
    dataPointer: number;
    dependencies: readonly unknown[];
  }

  export interface Hints {
    contiguousLength: number;
    remoteContiguousLength: number;
    recovering: number;
  }

  /** Settles after `tryFlush`. */
  export class CoreRX {
    constructor(
      core: CorePointers,
      database: Pick<RocksDatabase, 'read'>,
      view: View,
      treeCache: null,
      stats: null,
      fork: number,
    );
    getHints(): Promise<Hints | null>;
    getBitfieldPage(page: number): Promise<Buffer | null>;
    tryFlush(): void;
  }

  export class CoreTX {
    constructor(
      core: CorePointers,
      database: Pick<RocksDatabase, 'write'>,
      view: null,
      changes: unknown[],
    );
    deleteBlock(block: number): void;
    putBitfieldPage(page: number, bits: Buffer): void;
    setHints(hints: Hints): void;
    flush(): Promise<boolean>;
  }
}

/** Changes that are not in the database yet. */
declare module 'hypercore-storage/lib/view.js' {
  export default class View {}
}

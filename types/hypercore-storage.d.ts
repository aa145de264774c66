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

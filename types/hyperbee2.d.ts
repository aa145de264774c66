declare module 'hyperbee2' {
  import type { EventEmitter } from 'node:events';
  import type Hypercore from 'hypercore';

  interface BeeEntry {
    key: Buffer;
    value: Buffer;
  }

  interface BeeReadOptions {
    timeout?: number;
    wait?: boolean;
  }

  interface BeeRange extends BeeReadOptions {
    gte?: Buffer;
    gt?: Buffer;
    lte?: Buffer;
    lt?: Buffer;
    reverse?: boolean;
    limit?: number;
    prefetch?: boolean;
    highWaterMark?: number;
  }

  export interface WriteBatch {
    tryPut(key: Buffer, value: Buffer): void;
    tryDelete(key: Buffer): void;
    /** Makes it start with an empty tree. */
    tryClear(): void;
    flush(): Promise<void>;
    close(): Promise<void>;
  }

  /** What the tree asks of a store when a node refers to another log. */
  interface BeeStore {
    get(options: { key: Buffer }): Hypercore;
    close(): Promise<void>;
    readonly opening: Promise<void> | null;
    readonly closing: Promise<void> | null;
    readonly opened: boolean;
    readonly closed: boolean;
  }

  class Hyperbee extends EventEmitter {
    constructor(
      store: BeeStore,
      options: {
        core: Hypercore;
        t?: number;
        maxCacheSize?: number;
        writable?: boolean;
        autoUpdate?: boolean;
      },
    );
    readonly core: Hypercore;
    readonly cache: { empty(): void };
    /** `length`: up to where the list of other logs is known. */
    readonly context: { length: number };
    ready(): Promise<void>;
    head(): { length: number; key: Buffer } | null;
    update(): void;
    checkout(options: { length: number }): Hyperbee;
    write(options?: { preferredBlockSize?: number; inlineValueSize?: number }): WriteBatch;
    get(key: Buffer, options?: BeeReadOptions): Promise<BeeEntry | null>;
    createReadStream(range: BeeRange): AsyncIterable<BeeEntry>;
  }
  export default Hyperbee;
}

/** Blocks as they lie in the log, for reading past damage. */
declare module 'hyperbee2/lib/encoding.js' {
  export interface BeePointer {
    /** 0: the log that the block is in. */
    core: number;
    seq: number;
    offset: number;
  }

  /** A change of a list; of type 3 it points to a list of changes. */
  export interface BeeDelta {
    type: number;
    index: number;
    pointer: BeePointer | null;
  }

  export interface BeeBlock {
    /** How many blocks of the same batch come before and behind it. */
    batch: { start: number; end: number } | null;
    tree: { keys: BeeDelta[]; children: BeeDelta[] }[] | null;
    keys:
      | {
          key: Buffer;
          value: Buffer | null;
          valuePointer: (BeePointer & { split: number }) | null;
        }[]
      | null;
    values: Buffer[] | null;
    cohorts: BeeDelta[][] | null;
  }

  export function decodeBlock(buffer: Buffer, seq: number): BeeBlock;
}

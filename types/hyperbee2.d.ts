declare module 'hyperbee2' {
  import type { EventEmitter } from 'node:events';
  import type Hypercore from 'hypercore';

  interface BeeEntry {
    key: Buffer;
    /** null for an empty value. */
    value: Buffer | null;
    /** Block that the key was written in. */
    seq: number;
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

  /** What a node is put together from: changes of one entry, or a list of them (`pointer` says where). */
  interface BeeDelta {
    readonly pointer: BeePointer | null;
  }

  /** A place in a log; `core` 0 is the tree's own. */
  interface BeePointer {
    readonly core: number;
    readonly seq: number;
    readonly offset: number;
  }

  interface BeeKey extends BeePointer {
    readonly key: Buffer | null;
    readonly value: Buffer | null;
    readonly valuePointer: (BeePointer & { readonly split: number }) | null;
  }

  interface BeeNode {
    readonly keys: { readonly length: number; get(index: number): BeeKey | null };
    readonly children: { readonly length: number; get(index: number): BeeNodePointer | null };
  }

  interface BeeNodePointer extends BeePointer {
    /** Not written yet. */
    readonly changed: boolean;
    value: BeeNode | null;
  }

  interface BeeBlock {
    readonly tree:
      | readonly {
          readonly keys: readonly BeeDelta[];
          readonly children: readonly BeeDelta[];
        }[]
      | null;
    readonly cohorts: readonly (readonly BeeDelta[])[] | null;
    readonly keys: readonly { readonly key: Buffer; readonly value: Buffer | null }[] | null;
    readonly values: readonly Buffer[] | null;
  }

  /** The log of a tree, shared by all its views. */
  interface BeeContext {
    /** Up to where the list of other logs is known. */
    length: number;
    getBlock(seq: number, core: number, config: unknown): Promise<BeeBlock>;
    readonly core: Hypercore;
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
    readonly context: BeeContext;
    /** Called whenever a reader comes to a node that is in memory. */
    bump(node: BeeNodePointer): BeeNode | null;
    /** Called for the key that a reader has found. */
    finalizeKeyPointer(key: BeeKey, config: unknown): Promise<BeeEntry>;
    /** How reads of this view wait. */
    readonly config: { options(options: BeeReadOptions): unknown };
    /** The root; null for an empty tree. */
    bootstrap(config: unknown): Promise<BeeNodePointer | null>;
    /** Brings a node into memory. */
    inflate(node: BeeNodePointer, config: unknown): Promise<BeeNode>;
    ready(): Promise<void>;
    head(): { length: number; key: Buffer } | null;
    update(): void;
    checkout(options: { length: number }): Hyperbee;
    /** A view of the tree as it is; a batch goes over its nodes through one. */
    snapshot(): Hyperbee;
    write(options?: {
      preferredBlockSize?: number;
      inlineValueSize?: number;
      timeout?: number;
      wait?: boolean;
    }): WriteBatch;
    get(key: Buffer, options?: BeeReadOptions): Promise<BeeEntry | null>;
    createReadStream(range: BeeRange): AsyncIterable<BeeEntry>;
  }

  export type { BeeBlock, BeeDelta, BeeEntry, BeeKey, BeeNode, BeeNodePointer };
  export default Hyperbee;
}

/** Blocks as they lie in the log, for reading past damage and for tests that write what the engine would not. */
declare module 'hyperbee2/lib/encoding.js' {
  export interface BeePointer {
    /** 0: the log that the block is in. */
    core: number;
    seq: number;
    offset: number;
  }

  /** A change of a list: 0 set, 1 insert, 2 delete, 3 a pointer to a list of others. */
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
  export function encodeBlock(
    block: BeeBlock & {
      type: number;
      checkpoint: number;
      previous: { core: number; seq: number } | null;
      metadata: null;
      t: number;
    },
  ): Buffer;
}

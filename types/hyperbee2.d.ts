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

  interface BeeNodePointer {
    readonly seq: number;
    readonly offset: number;
    readonly context: BeeContext;
    value: BeeNode | null;
    /** Set while somebody brings it into memory. */
    inflating: Promise<BeeNode> | null;
  }

  type BeeNode = import('hyperbee2/lib/tree.js').TreeNode<
    import('hyperbee2/lib/tree.js').KeyPointer,
    BeeNodePointer
  >;

  /** The log of a tree, shared by all its views. */
  interface BeeContext {
    /** Up to where the list of other logs is known. */
    length: number;
    /** A node of the log, in memory if it was there. */
    createTreeNode(
      core: number,
      seq: number,
      offset: number,
      changed: boolean,
      value: BeeNode | null,
    ): BeeNodePointer;
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
    /** Notes that a node that is in memory was used. */
    bump(node: BeeNodePointer): BeeNode | null;
    /** Brings a node into memory. */
    inflate(node: BeeNodePointer, config: unknown): Promise<BeeNode>;
    /** Makes a view of the tree, as for a batch. */
    _makeView(...parameters: unknown[]): Hyperbee;
    ready(): Promise<void>;
    head(): { length: number; key: Buffer } | null;
    update(): void;
    /** A view of an older state. */
    checkout(options: { length: number }): Hyperbee;
    createReadStream(range: object): AsyncIterable<BeeEntry>;
    write(options?: { preferredBlockSize?: number; inlineValueSize?: number }): WriteBatch;
  }

  export type { BeeContext, BeeEntry, BeeNode, BeeNodePointer };
  export default Hyperbee;
}

declare module 'hyperbee2/lib/tree.js' {
  import type { BeeContext } from 'hyperbee2';
  import type { CompressedArray, DeltaOp } from 'hyperbee2/lib/compression.js';

  /** Degree of a tree whose blocks name none. */
  export const T: number;

  export class Pointer {
    constructor(context: BeeContext, core: number, seq: number, offset: number, changed: boolean);
    readonly seq: number;
    readonly offset: number;
  }

  export class ValuePointer {
    constructor(context: BeeContext, core: number, seq: number, offset: number, split: number);
  }

  export class KeyPointer extends Pointer {
    constructor(
      context: BeeContext,
      core: number,
      seq: number,
      offset: number,
      changed: boolean,
      key: Buffer | null,
      value: Buffer | null,
      valuePointer: ValuePointer | null,
    );
    key: Buffer | null;
    value: Buffer | null;
    valuePointer: ValuePointer | null;
  }

  export class TreeNode<K, C> {
    constructor(degree: number, keys: DeltaOp<K>[], children: DeltaOp<C>[]);
    readonly keys: CompressedArray<K>;
    readonly children: CompressedArray<C>;
  }
}

declare module 'hyperbee2/lib/compression.js' {
  import type { Pointer } from 'hyperbee2/lib/tree.js';

  export const OP_COHORT: number;

  /** A change of a list. */
  export class DeltaOp<P> {
    constructor(changed: boolean, type: number, index: number, pointer: P | Pointer | null);
  }

  /** Several changes, kept in one place of the log. */
  export class DeltaCohort<P> extends DeltaOp<P> {
    constructor(changed: boolean, pointer: Pointer, deltas: DeltaOp<P>[]);
  }

  /** A list as changes make it. */
  export class CompressedArray<P> {
    readonly entries: (P | null)[];
  }
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

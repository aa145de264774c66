/** Something that brings files from one machine to others. */
import type { Network, NetworkNode } from './network.js';

/** One pull of everything by a new machine. */
export interface Pull {
  seconds: number;
  /** From the beginning to the first byte of content; null where it cannot be told. */
  firstByteMs: number | null;
}

/** A machine that has nothing yet, and knows where to ask. */
export interface SwarmPeer {
  /** Gets everything; once. */
  pull(): Promise<Pull>;
  close(): Promise<void>;
}

/** A machine that has everything. */
export interface SwarmOrigin {
  /** A new machine; `label` names its folder. */
  join(node: NetworkNode, label: string): Promise<SwarmPeer>;
  close(): Promise<void>;
}

export interface OriginOptions {
  network: Network;
  /** What is to be brought; the origin is `network.nodes[0]`. */
  source: string;
  /** Bytes of all files in it. */
  bytes: number;
  files: number;
  /** For whatever it needs; removed by the caller. */
  folder: string;
}

export interface SwarmSystem {
  name: string;
  /** What is timed. */
  what: string;
  /** Whether a machine that has pulled everything serves others. */
  isSwarm: boolean;
  missing(): string | null;
  start(options: OriginOptions): Promise<SwarmOrigin>;
}

/** What a pull may take. */
export const PULL_MS_MAX = 1_800_000;

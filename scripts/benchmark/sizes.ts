/** How much of everything. */
export interface Sizes {
  largeMebibytes: number;
  randomReads: number;
  randomWrites: number;
  smallFiles: number;
  appends: number;
  commits: number;
  treeFiles: number;
  treeBytes: number;
  /** How long a mount is left alone before its idle memory is read. */
  idleMs: number;
}

/** A loop of calls takes at least about a second, or half of what was measured is what a program costs when it begins. */
export const FULL_SIZES: Sizes = {
  largeMebibytes: 512,
  randomReads: 16_000,
  randomWrites: 16_000,
  smallFiles: 4000,
  appends: 3000,
  commits: 1500,
  treeFiles: 2365,
  treeBytes: 54_000_000,
  idleMs: 10_000,
};

export const QUICK_SIZES: Sizes = {
  largeMebibytes: 64,
  randomReads: 500,
  randomWrites: 500,
  smallFiles: 500,
  appends: 50,
  commits: 30,
  treeFiles: 300,
  treeBytes: 5_000_000,
  idleMs: 10_000,
};

/** Enough to see that everything works; rates say nothing. */
export const TINY_SIZES: Sizes = {
  largeMebibytes: 4,
  randomReads: 20,
  randomWrites: 20,
  smallFiles: 20,
  appends: 5,
  commits: 3,
  treeFiles: 20,
  treeBytes: 200_000,
  idleMs: 0,
};

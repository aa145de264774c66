/** How much an inode table holds in memory beyond what is in use. */
import { limits } from '../limits.js';

export interface CacheLimits {
  inodes: number;
  /** Segments of extents. */
  segments: number;
  /** Names, over all directories. */
  directoryEntries: number;
  /** One directory that is listed, as {@link NamesBudget} counts, in bytes. */
  directoryBytes: number;
}

export const FULL_CACHE: CacheLimits = {
  inodes: limits.cached_inodes_max,
  segments: limits.cached_segments_max,
  directoryEntries: limits.cached_directory_entries_max,
  directoryBytes: limits.listed_directory_bytes_max,
};

const VIEW_SHARE = 1 / 16;

/** Of an older version that is looked at beside the drive. */
export const VIEW_CACHE: CacheLimits = {
  inodes: VIEW_SHARE * limits.cached_inodes_max,
  segments: VIEW_SHARE * limits.cached_segments_max,
  directoryEntries: VIEW_SHARE * limits.cached_directory_entries_max,
  // What can be listed in the drive can be listed in an older version of it.
  directoryBytes: limits.listed_directory_bytes_max,
};

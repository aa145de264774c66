/** All behaviours a mounted drive shares with any Linux file system. */
import { attributes } from './attributes.js';
import type { Behaviour } from './behaviour.js';
import { copyingRanges } from './copy-file-range.js';
import { data } from './data.js';
import { directories } from './directories.js';
import { extendedAttributes } from './extended-attributes.js';
import { links } from './links.js';
import { locks } from './locks.js';
import { memoryMapping } from './memory-mapping.js';
import { names } from './names.js';
import { permissions } from './permissions.js';
import { randomOperations } from './random-operations.js';
import { renaming } from './rename.js';
import { seeking } from './seek.js';
import { setIdBits } from './set-id-bits.js';
import { spaceAllocation } from './space-allocation.js';
import { sparse } from './sparse.js';
import { specialFiles } from './special-files.js';
import { statistics } from './statistics.js';
import { synchronization } from './synchronization.js';
import { times } from './times.js';
import { truncation } from './truncate.js';
import { unlinkOpen } from './unlink-open.js';

export const conformance: readonly Behaviour[] = [
  ...data,
  ...truncation,
  ...sparse,
  ...names,
  ...renaming,
  ...links,
  ...attributes,
  ...permissions,
  ...setIdBits,
  ...times,
  ...extendedAttributes,
  ...specialFiles,
  ...directories,
  ...memoryMapping,
  ...locks,
  ...spaceAllocation,
  ...copyingRanges,
  ...seeking,
  ...unlinkOpen,
  ...statistics,
  ...synchronization,
  ...randomOperations,
];

import { limits } from '../limits.js';
import { nameOfKey, RecordKind, rangeOfInode } from '../tree/keys.js';
import type { TreeView } from '../tree/tree.js';
import { Xattrs } from './inode.js';
import { isValidXattrName } from './xattr-name.js';

/**
 * All extended attributes of an inode, as far as there may be such; `report` gets a line about each that may not.
 * Throws what reading the tree throws.
 */
export async function loadXattrs(
  view: TreeView,
  ino: number,
  report: (line: string) => void,
): Promise<Xattrs> {
  const xattrs = new Xattrs();
  const { from, to } = rangeOfInode(RecordKind.xattr, ino);
  let names = 0;
  let bytes = 0;
  for await (const { key, value } of view.range(from, to)) {
    const name = nameOfKey(key);
    if (!isValidXattrName(name) || value.length > limits.xattr_value_bytes_max) {
      report(`extended attribute ${JSON.stringify(name)} cannot be one`);
      continue;
    }
    names += name.length + 1;
    bytes += value.length;
    if (names > limits.xattr_list_bytes_max || bytes > limits.xattrs_bytes_max) {
      report(`inode ${ino} has too many extended attributes`);
      break;
    }
    xattrs.values.set(name, value);
  }
  return xattrs;
}

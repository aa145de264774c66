/** What a check counts of every inode, in columns: some 90 bytes for each, so that a million fit into memory. */
import type { InodeRecord } from '../../tree/inode-record.js';
import { S_IFDIR, S_IFMT, S_IFREG } from '../inode.js';

const numbers = [
  'ino',
  'size',
  'allocatedBytes',
  'parent',
  /** Directory that holds its last name seen. */
  'namedIn',
  /** Sum of its extents. */
  'extentBytes',
  /** End of the last byte that lies in a chunk. */
  'dataEnd',
] as const;

const counts = [
  'mode',
  'nlink',
  'segmentsEnd',
  'xattrCount',
  /** Entries that lead to it. */
  'names',
  /** Of a directory: entries in it, and those of directories. */
  'entries',
  'subdirectories',
  'xattrs',
  /** Bytes of inline content and one more; 0 for none. */
  'inlineBytes',
  /** Number behind the last segment seen. */
  'segmentsSeen',
  'isOrphan',
] as const;

type NumberColumn = (typeof numbers)[number];
type CountColumn = (typeof counts)[number];

/** Added in the order of their numbers. */
export class CheckedInodes {
  #length = 0;
  #capacity = 0;
  readonly #numbers = new Map<NumberColumn, Float64Array>();
  readonly #counts = new Map<CountColumn, Uint32Array>();
  /** Records of one inode come one after the other. */
  #lastRow = -1;

  get length(): number {
    return this.#length;
  }

  /** Throws RangeError for a number that is not above the last one. */
  add(ino: number, record: InodeRecord): void {
    if (this.#length > 0 && ino <= this.get(this.#length - 1, 'ino')) {
      throw new RangeError(`Inode ${ino} comes too late`);
    }
    if (this.#length === this.#capacity) this.#grow();
    const row = this.#length++;
    this.set(row, 'ino', ino);
    this.set(row, 'size', record.size);
    this.set(row, 'allocatedBytes', record.allocatedBytes);
    this.set(row, 'parent', record.parent);
    this.set(row, 'mode', record.mode);
    this.set(row, 'nlink', record.nlink);
    this.set(row, 'segmentsEnd', record.segmentsEnd);
    this.set(row, 'xattrCount', record.xattrCount);
    if (record.inline !== null) this.set(row, 'inlineBytes', record.inline.length + 1);
  }

  /** Its row, or -1. */
  find(ino: number): number {
    const inos = this.#numbers.get('ino');
    if (inos === undefined) return -1;
    if (this.#lastRow >= 0 && inos[this.#lastRow] === ino) return this.#lastRow;
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((inos[middle] as number) < ino) low = middle + 1;
      else high = middle;
    }
    if (low === this.#length || inos[low] !== ino) return -1;
    this.#lastRow = low;
    return low;
  }

  get(row: number, column: NumberColumn | CountColumn): number {
    return this.#column(column)[row] as number;
  }

  set(row: number, column: NumberColumn | CountColumn, value: number): void {
    this.#column(column)[row] = value;
  }

  increase(row: number, column: NumberColumn | CountColumn, by = 1): void {
    const values = this.#column(column);
    values[row] = (values[row] as number) + by;
  }

  isDirectory(row: number): boolean {
    return (this.get(row, 'mode') & S_IFMT) === S_IFDIR;
  }

  isFile(row: number): boolean {
    return (this.get(row, 'mode') & S_IFMT) === S_IFREG;
  }

  #column(column: NumberColumn | CountColumn): Float64Array | Uint32Array {
    const values =
      this.#numbers.get(column as NumberColumn) ?? this.#counts.get(column as CountColumn);
    if (values === undefined) throw new RangeError('There is no inode');
    return values;
  }

  #grow(): void {
    this.#capacity = Math.max(1024, 2 * this.#capacity);
    for (const column of numbers) {
      const values = new Float64Array(this.#capacity);
      values.set(this.#numbers.get(column) ?? []);
      this.#numbers.set(column, values);
    }
    for (const column of counts) {
      const values = new Uint32Array(this.#capacity);
      values.set(this.#counts.get(column) ?? []);
      this.#counts.set(column, values);
    }
  }
}

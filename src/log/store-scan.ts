/**
 * Reads all keys of a store, past those that cannot be read: the database keeps some hundred small records in one
 * block with one checksum, and a changed byte hides all of them. Such a file must go: the database refuses all writes
 * as soon as it comes to rewrite it.
 */
import type { RocksDatabase } from 'corestore';

type Database = Pick<RocksDatabase, 'iterator'>;

/** Keys are shorter; a longer one is found by its beginning. */
const KEY_BYTES = 24;
const KEYS_PER_READ = 512;
const KEY_BITS = BigInt(8 * KEY_BYTES);

/** Keys that cannot be read, all of them behind `after` and, if it is not null, before `before`. */
export interface DamagedKeys {
  after: Buffer | null;
  before: Buffer | null;
  reason: string;
  /** It is the value of one key that cannot be read: large ones lie in files of their own, each with a checksum. */
  isValue: boolean;
}

/**
 * All keys in ascending order, and where some are hidden. Large values in the database are read on the way. Passing what is hidden takes
 * some milliseconds each time.
 */
export async function* scanKeys(database: Database): AsyncGenerator<Buffer | DamagedKeys> {
  let last: Buffer | null = null;
  // Reading many at a time loses those before the damage, which are then read one by one.
  let capacity = KEYS_PER_READ;
  for (;;) {
    try {
      const entries: AsyncIterable<{ key: Buffer }> =
        last === null
          ? database.iterator({ gte: Buffer.alloc(0), values: false, capacity })
          : database.iterator({ gt: last, values: false, capacity });
      for await (const { key } of entries) {
        last = key;
        yield key;
      }
      return;
    } catch (error) {
      if (capacity > 1) {
        capacity = 1;
        continue;
      }
      capacity = KEYS_PER_READ;
      const reason = error instanceof Error ? error.message : String(error);
      const before = await nextReadable(database, last);
      yield { after: last, before, reason, isValue: /\bblob\b/i.test(reason) };
      if (before === null) return;
      last = before;
      yield before;
    }
  }
}

/** The first key behind a hidden stretch; null when there is none. */
async function nextReadable(database: Database, after: Buffer | null): Promise<Buffer | null> {
  const end = 1n << KEY_BITS;
  // The greatest that is known to be in the stretch, and the least known to be behind it.
  let inside = after === null ? 0n : numberOf(after);
  let step = 1n;
  let outside = inside + step;
  while (outside < end && (await keyAtOrBehind(database, outside)) === undefined) {
    inside = outside;
    step *= 2n;
    outside += step;
  }
  if (outside >= end) outside = end - 1n;
  while (outside - inside > 1n) {
    const middle = (inside + outside) / 2n;
    if ((await keyAtOrBehind(database, middle)) === undefined) inside = middle;
    else outside = middle;
  }
  return (await keyAtOrBehind(database, outside)) ?? null;
}

/** undefined: it cannot be read; null: there is none. */
async function keyAtOrBehind(
  database: Database,
  number: bigint,
): Promise<Buffer | null | undefined> {
  const gte = Buffer.from(number.toString(16).padStart(2 * KEY_BYTES, '0'), 'hex');
  try {
    const found = database.iterator({ gte, values: false, capacity: 1, limit: 1 });
    for await (const { key } of found) return key;
    return null;
  } catch {
    // What is wrong was said by the scan.
    return undefined;
  }
}

function numberOf(key: Buffer): bigint {
  const bytes = Buffer.alloc(KEY_BYTES);
  key.copy(bytes, 0, 0, KEY_BYTES);
  return BigInt(`0x${bytes.toString('hex')}`);
}

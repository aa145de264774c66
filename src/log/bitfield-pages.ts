/** The stored map of which blocks of a log are here: a bit for each block, in pages. */

/** Blocks whose bits lie in one page. */
export const page_blocks = 32_768;
/** Bytes of a page. */
export const page_bytes: number = page_blocks / 8;

/** Number of the page in which a block's bit lies. */
export function pageOf(block: number): number {
  return Math.floor(block / page_blocks);
}

/** What reads records of a log: nothing comes before it is flushed. */
interface PageReader {
  getBitfieldPage(page: number): Promise<Buffer | null>;
}

/** Pages by their numbers, in memory that is the caller's; empty where there is none. Settles once `read` is flushed. */
export async function readPages(
  read: PageReader,
  numbers: Iterable<number>,
): Promise<Map<number, Buffer>> {
  const pages = [...numbers].map(async (page) => {
    const stored = await read.getBitfieldPage(page);
    // What was read may be shared with other readers.
    return [page, Buffer.from(stored ?? Buffer.alloc(page_bytes))] as const;
  });
  return new Map(await Promise.all(pages));
}

/** In the page that has the block's bit. */
export function setBit(page: Buffer, block: number): void {
  const bit = block % page_blocks;
  page[bit >>> 3] = (page[bit >>> 3] as number) | (1 << (bit & 7));
}

/** In the page that has the block's bit, one of `pages`. */
export function clearBit(pages: ReadonlyMap<number, Buffer>, block: number): void {
  const page = pages.get(pageOf(block)) as Buffer;
  const bit = block % page_blocks;
  page[bit >>> 3] = (page[bit >>> 3] as number) & ~(1 << (bit & 7));
}

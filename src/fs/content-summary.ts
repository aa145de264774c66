/** What can be said of a file's content without reading any of it: how much is here, who has it, and a hash. */
import { createHash, type Hash } from 'node:crypto';
import type { ChunkReference, ContentStore } from '../content/content-store.js';

/** A stretch of a file in a chunk. */
export interface ChunkStretch {
  /** First byte in the file. */
  at: number;
  length: number;
  chunk: ChunkReference;
  /** First byte of the chunk that is meant. */
  skip: number;
}

export interface ContentSummary {
  /** Bytes that can be read without a peer, of `bytes`. */
  localBytes: number;
  bytes: number;
  /** 64 hex digits; the same for two files of one drive: they have the same content. */
  hash: string;
  /** Connected peers that have all of it, as far as they have told. */
  peers: number;
}

/** Takes the stretches of a file in their order; holes and space that was never written are left out. */
export class ContentSummarizer {
  readonly #content: ContentStore;
  readonly #bytes: number;
  readonly #hash: Hash;
  readonly #holders;
  #missingBytes = 0;
  #last: ChunkStretch | null = null;

  /** @param bytes The file's size. */
  constructor(content: ContentStore, bytes: number) {
    this.#content = content;
    this.#bytes = bytes;
    this.#hash = createHash('sha256').update(`shoal content 1 ${bytes}\n`);
    this.#holders = content.holders();
  }

  add(stretch: ChunkStretch): void {
    if (!this.#content.isLocal(stretch.chunk)) this.#missingBytes += stretch.length;
    this.#holders.add(stretch.chunk);
    const last = this.#last;
    // A chunk across the border of two segments is in both, in two parts.
    if (last !== null && continues(last, stretch)) last.length += stretch.length;
    else {
      this.#put();
      this.#last = { ...stretch };
    }
  }

  /** Content that is in the record itself. */
  addInline(bytes: Buffer): void {
    this.#hash.update('inline\n').update(bytes);
  }

  finish(): ContentSummary {
    this.#put();
    return {
      localBytes: Math.max(0, this.#bytes - this.#missingBytes),
      bytes: this.#bytes,
      hash: this.#hash.digest('hex'),
      peers: this.#holders.count,
    };
  }

  #put(): void {
    if (this.#last === null) return;
    const { at, length, chunk, skip } = this.#last;
    this.#hash.update(`${at} ${length} ${skip} ${chunk.length} `).update(chunk.hash);
  }
}

function continues(last: ChunkStretch, next: ChunkStretch): boolean {
  return (
    last.at + last.length === next.at &&
    last.skip + last.length === next.skip &&
    last.chunk.length === next.chunk.length &&
    last.chunk.hash.equals(next.chunk.hash)
  );
}

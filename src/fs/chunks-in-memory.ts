/** Chunks that files in memory refer to: those of them that no commit has yet are in no tree. */
import type { ChunkReference } from '../content/content-store.js';
import { chunkOf } from './extents.js';
import type { Inode } from './inode.js';

export function* chunksInMemory(inodes: Iterable<Inode>): Generator<ChunkReference> {
  for (const { data } of inodes) {
    for (const { extents } of data?.segments.values() ?? []) {
      for (const extent of extents) {
        const chunk = chunkOf(extent);
        if (chunk !== null) yield chunk;
      }
    }
  }
}

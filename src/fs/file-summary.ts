/** What is here of a file as a state of the tree has it, and what its content is. Never waits for the network. */
import type { ChunkReference, ContentStore } from '../content/content-store.js';
import { UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import type { InodeRecord } from '../tree/inode-record.js';
import { RecordKind, rangeOfInode, segmentOfKey } from '../tree/keys.js';
import { decodeSegment } from '../tree/segment-record.js';
import type { TreeView } from '../tree/tree.js';
import { ContentSummarizer, type ContentSummary } from './content-summary.js';

/**
 * Null when the records of the content are not all here. Throws DamagedError, InterruptedError, StoreError.
 *
 * @param record Of a regular file.
 */
export async function summarizeFile(
  content: ContentStore,
  view: TreeView,
  ino: number,
  { size, inline }: Pick<InodeRecord, 'size' | 'inline'>,
  signal?: AbortSignal,
): Promise<ContentSummary | null> {
  const summarizer = new ContentSummarizer(content, size);
  if (inline !== null) {
    summarizer.addInline(inline);
    return summarizer.finish();
  }
  const { from, to } = rangeOfInode(RecordKind.segment, ino);
  try {
    for await (const { key, value } of view.range(from, to, { localOnly: true, signal })) {
      signal?.throwIfAborted();
      const index = segmentOfKey(key);
      for (const { start, length, chunk, skip } of decodeSegment(ino, index, value)) {
        if (chunk === null) continue;
        const at = index * limits.segment_bytes + start;
        summarizer.add({ at, length, chunk: chunk as ChunkReference, skip });
      }
    }
  } catch (error) {
    if (error instanceof UnavailableError) return null;
    throw error;
  }
  return summarizer.finish();
}

/** The memory of another process of this user, to search it. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** A larger mapping is read in pieces, which overlap by this much. */
const PIECE_BYTES = 64 << 20;
const OVERLAP_BYTES = 4096;

/** All readable memory of a process, piece by piece. What goes away meanwhile is left out. */
export function* memoryOf(pid: number): Generator<Buffer> {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const [start, end] of readableMappings(pid)) {
      for (let at = start; at < end; at += PIECE_BYTES - OVERLAP_BYTES) {
        const piece = readPiece(memory, at, Math.min(end - at, PIECE_BYTES));
        if (piece !== null) yield piece;
      }
    }
  } finally {
    closeSync(memory);
  }
}

/** Files that are mapped for reading only are the program's own, and hold nothing. */
function readableMappings(pid: number): [number, number][] {
  const mappings: [number, number][] = [];
  for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
    if (match === null) continue;
    mappings.push([
      Number.parseInt(match[1] as string, 16),
      Number.parseInt(match[2] as string, 16),
    ]);
  }
  return mappings;
}

function readPiece(memory: number, start: number, length: number): Buffer | null {
  const piece = Buffer.alloc(length);
  try {
    return piece.subarray(0, readSync(memory, piece, 0, length, start));
  } catch (error) {
    // Reserved and never used, or gone.
    if (['EIO', 'EFAULT', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return null;
    throw error;
  }
}

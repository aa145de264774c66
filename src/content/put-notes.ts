/** Copies of the chunks that were put since the last commit, for whoever makes them durable in another way. */
import type { ChunkPut } from './content-store.js';

export class PutNotes {
  #puts: ChunkPut[] = [];
  #bytesLeft = 0;
  #isComplete = false;

  /** Forgets what was noted; from now on so many bytes are. */
  restart(bytesMax: number): void {
    this.#puts = [];
    this.#bytesLeft = bytesMax;
    this.#isComplete = true;
  }

  /** What was noted since the last call; null when something was put that is not. */
  take(): ChunkPut[] | null {
    if (!this.#isComplete) return null;
    const puts = this.#puts;
    this.#puts = [];
    return puts;
  }

  /** The pieces may change afterwards. */
  add(
    { block, offset }: { block: number; offset: number },
    compress: boolean,
    pieces: readonly Buffer[],
    length: number,
  ): void {
    if (!this.#isComplete) return;
    this.#bytesLeft -= length;
    if (this.#bytesLeft < 0) {
      this.#isComplete = false;
      this.#puts = [];
      return;
    }
    this.#puts.push({ block, offset, compress, data: Buffer.concat(pieces, length) });
  }
}

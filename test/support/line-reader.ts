/** Reading a child's output line by line, with a deadline. */
import { createInterface } from 'node:readline';

/** Lines of a stream, taken one at a time. */
export class LineReader {
  readonly #lines: string[] = [];
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  #ended = false;

  constructor(stream: NodeJS.ReadableStream) {
    const reader = createInterface({ input: stream });
    reader.on('line', (line) => {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#lines.push(line);
      else waiting.resolve(line);
    });
    reader.on('close', () => {
      this.#ended = true;
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('Output ended'));
    });
  }

  /** Lines that have arrived and were not taken. */
  get pending(): number {
    return this.#lines.length;
  }

  /** The next line. Rejects when the output ends or nothing comes before the deadline. */
  next(deadlineMs = 60_000): Promise<string> {
    const line = this.#lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (this.#ended) return Promise.reject(new Error('Output ended'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => waiting.reject(new Error(`No line within ${deadlineMs} ms`)),
        deadlineMs,
      );
      const settle = () => {
        clearTimeout(timer);
        const index = this.#waiting.indexOf(waiting);
        if (index !== -1) this.#waiting.splice(index, 1);
      };
      const waiting = {
        resolve: (value: string) => {
          settle();
          resolve(value);
        },
        reject: (error: Error) => {
          settle();
          reject(error);
        },
      };
      this.#waiting.push(waiting);
    });
  }
}

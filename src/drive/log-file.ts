/** The log of a drive's mount: lines with a time, two files of bounded size, readable by their owner only. */
import { appendFileSync, chmodSync, renameSync, statSync } from 'node:fs';
import { limits } from '../limits.js';

/** Appends lines to `path`; the file before is kept as `path.1`. */
export class LogFile {
  readonly #path: string;
  readonly #now: () => Date;
  #bytes: number;
  #lostLines = 0;

  constructor(path: string, now: () => Date = () => new Date()) {
    this.#path = path;
    this.#now = now;
    appendFileSync(path, '', { mode: 0o600 });
    chmodSync(path, 0o600);
    this.#bytes = statSync(path).size;
  }

  /**
   * Writes one line, cut to its limit; control characters are replaced. Never throws: where the disk is full, the lines
   * are counted, and the next one that fits says how many are missing.
   */
  readonly write = (line: string): void => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be replaced
    const text = line.replace(/[\x00-\x1f\x7f]+/g, ' ').slice(0, limits.log_line_bytes_max);
    const lost = this.#lostLines > 0 ? `(${this.#lostLines} lines lost before) ` : '';
    const record = `${this.#now().toISOString()} ${lost}${text}\n`;
    try {
      this.#append(record);
      this.#lostLines = 0;
    } catch {
      this.#lostLines++;
    }
  };

  #append(record: string): void {
    const bytes = Buffer.byteLength(record);
    if (this.#bytes + bytes > limits.log_file_bytes_max) {
      renameSync(this.#path, `${this.#path}.1`);
      this.#bytes = 0;
    }
    appendFileSync(this.#path, record, { mode: 0o600 });
    this.#bytes += bytes;
  }
}

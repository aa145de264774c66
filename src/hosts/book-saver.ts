/** Writes an owner's book down when it has changed. */
import type { OwnerBook, StoredBook } from './owner-book.js';

export class BookSaver {
  readonly #book: OwnerBook;
  readonly #write: (book: StoredBook) => Promise<void>;
  readonly #report: (error: unknown) => void;
  #savedText = '';
  #saving: Promise<void> | null = null;

  /** `report`: is told of a failure; the next save tries again. */
  constructor(
    book: OwnerBook,
    write: (book: StoredBook) => Promise<void>,
    report: (error: unknown) => void,
  ) {
    this.#book = book;
    this.#write = write;
    this.#report = report;
  }

  /** One at a time: on a slow disk the next may be due before, and saves what came meanwhile. Never rejects. */
  save(): Promise<void> {
    this.#saving ??= this.#save().finally(() => {
      this.#saving = null;
    });
    return this.#saving;
  }

  /** Saves also what came while one was under way. Never rejects. */
  async close(): Promise<void> {
    await this.#saving;
    await this.save();
  }

  async #save(): Promise<void> {
    const stored = this.#book.stored();
    const text = JSON.stringify(stored);
    if (text === this.#savedText) return;
    try {
      await this.#write(stored);
      this.#savedText = text;
    } catch (error) {
      this.#report(error);
    }
  }
}

/** What a host's audits came to. A host that often does not have what it says it has is not trusted any more. */
import { limits } from '../limits.js';
import type { HostedLog } from './wire/hosts-messages.js';

/** A block that a host said it has, and what it gave when it was asked for it. */
export interface AuditEvidence {
  timeMs: number;
  /** The host's id, as `shoal host` prints it. */
  host: string;
  log: HostedLog;
  block: number;
  fork: number;
  /** Leaf hash of the block that the owner signed, hexadecimal. */
  expected: string;
  /** Leaf hash of what the host gave; null: it said that it does not have the block. */
  got: string | null;
}

/** The last audits of one host. */
export class AuditScore {
  /** Newest last; true: passed. */
  readonly #results: boolean[] = [];

  constructor(passed = 0, failed = 0) {
    for (let i = 0; i < Math.min(failed, limits.audits_noted_max); i++) this.note(false);
    for (let i = 0; i < Math.min(passed, limits.audits_noted_max - failed); i++) this.note(true);
  }

  note(passed: boolean): void {
    this.#results.push(passed);
    if (this.#results.length > limits.audits_noted_max) this.#results.shift();
  }

  get passed(): number {
    return this.#results.filter((each) => each).length;
  }
  get failed(): number {
    return this.#results.length - this.passed;
  }
  /** From 0 to 1; null before the first audit. */
  get score(): number | null {
    return this.#results.length === 0 ? null : this.passed / this.#results.length;
  }
  /** So many failures are no accident. */
  get isLiar(): boolean {
    return this.failed >= limits.audits_failed_max;
  }
}

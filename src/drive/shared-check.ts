import { InterruptedError, ShoalError } from '../errors.js';
import { limits } from '../limits.js';
import type { CheckLogsOptions, CheckProgress } from './check-logs.js';
import { type CheckReport, cutReport } from './check-report.js';

/** What is checked. */
export interface Checkable {
  check(options: CheckLogsOptions): Promise<CheckReport>;
}

/** A check of a drive that is in use. Who asks while one runs gets the same report; it ends when nobody waits any more. */
export class SharedCheck {
  readonly #drive: Checkable;
  readonly #commit: () => Promise<void>;
  readonly #closing: AbortSignal;
  #running: Promise<CheckReport> | null = null;
  #abort = new AbortController();
  #waiting = 0;
  #progress: CheckProgress | null = null;

  /** @param closing Ends every check. */
  constructor(drive: Checkable, commit: () => Promise<void>, closing: AbortSignal) {
    this.#drive = drive;
    this.#commit = commit;
    this.#closing = closing;
  }

  /** null while nothing is checked. */
  get progress(): CheckProgress | null {
    return this.#progress;
  }

  /** `gone`: who asks waits no more. Rejects with InterruptedError, and like `checkLogs`. */
  async ask(gone: AbortSignal): Promise<CheckReport> {
    // One that was given up is no use to who asks now.
    while (this.#running !== null && this.#abort.signal.aborted) await this.ended();
    this.#running ??= this.#start();
    const running = this.#running;
    const leave = (): void => {
      gone.removeEventListener('abort', leave);
      if (--this.#waiting === 0)
        this.#abort.abort(new InterruptedError('Nobody waits for the check'));
    };
    this.#waiting++;
    gone.addEventListener('abort', leave);
    if (gone.aborted) leave();
    try {
      return await running;
    } finally {
      if (!gone.aborted) leave();
    }
  }

  /** Resolves when nothing is being checked. */
  async ended(): Promise<void> {
    await this.#running?.catch(() => undefined);
  }

  #start(): Promise<CheckReport> {
    const abort = new AbortController();
    const close = (): void => abort.abort(this.#closing.reason);
    this.#abort = abort;
    this.#closing.addEventListener('abort', close);
    if (this.#closing.aborted) close();
    return this.#run(abort.signal).finally(() => {
      this.#closing.removeEventListener('abort', close);
      this.#running = null;
      this.#progress = null;
    });
  }

  async #run(signal: AbortSignal): Promise<CheckReport> {
    let uncommitted: string | null = null;
    try {
      await this.#commit();
    } catch (error) {
      // A store that takes nothing any more is one to be checked.
      if (!(error instanceof ShoalError)) throw error;
      uncommitted = error.message;
    }
    signal.throwIfAborted();
    const report = await this.#drive.check({
      onProgress: (progress) => {
        this.#progress = progress;
      },
      signal,
    });
    return cutReport({ ...report, uncommitted }, limits.control_message_bytes_max / 2);
  }
}

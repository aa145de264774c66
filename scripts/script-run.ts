/**
 * A script that starts processes and mounts drives, and leaves none of it behind: not when it ends, not when it fails, and not
 * when it is interrupted.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Assertions } from 'brittle';
import {
  detach,
  killMarked,
  markedProcesses,
  mountsBelow,
} from '../test/support/runner/leftovers.js';

/** Marks what the script starts, in the environment, which daemons inherit, too. */
const MARK = 'SHOAL_SCRIPT_MARK';
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const LOOK_MS = 20;

/** What helpers of tests do at the end of a test is done when the script ends. */
export class ScriptRun {
  /** Takes the place of a test for helpers that clean up with it. */
  readonly asTest = {
    teardown: (run: () => unknown, { order = 0 }: { order?: number } = {}) => {
      this.#steps.push({ run, order });
    },
  } as unknown as Assertions;
  readonly #name: string;
  readonly #mark: string;
  readonly #folder: string;
  readonly #steps: { run: () => unknown; order: number }[] = [];
  #ending: Promise<void> | null = null;
  #isStopped = false;

  /** All temporary folders are made below one of the script's own from now on. */
  private constructor(name: string) {
    this.#name = name;
    this.#folder = mkdtempSync(path.join(tmpdir(), `${name}-`));
    this.#mark = path.basename(this.#folder);
    process.env.TMPDIR = this.#folder;
    process.env[MARK] = this.#mark;
  }

  /**
   * Runs a script and sets the exit code: what `main` resolves with, 1 when it rejects (with a line that says why), and 128
   * and the number of the signal when it is interrupted.
   */
  static async of(name: string, main: (t: Assertions) => Promise<number>): Promise<void> {
    const run = new ScriptRun(name);
    for (const signal of SIGNALS) {
      process.on(signal, () => void run.#stop('interrupted', 128 + constants.signals[signal]));
    }
    process.on('uncaughtException', (error) => void run.#stop(error.message, 1));
    try {
      process.exitCode = await main(run.asTest);
    } catch (error) {
      // What was under way fails as its processes end.
      if (!run.#isStopped) {
        console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
        process.exitCode = 1;
      }
    }
    await run.#end();
  }

  async #stop(why: string, exitCode: number): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    console.error(`${this.#name}: ${why}; ending what was started`);
    await this.#end();
    process.exit(exitCode);
  }

  #end(): Promise<void> {
    this.#ending ??= this.#endAll();
    return this.#ending;
  }

  async #endAll(): Promise<void> {
    // When it is interrupted, more may be started until the script notices: that has no step yet.
    const steps = this.#isStopped ? [] : this.#steps.sort((a, b) => a.order - b.order);
    for (const { run } of steps) {
      try {
        await run();
      } catch (error) {
        console.error(`${this.#name}: ${String(error)}`);
      }
    }
    while (markedProcesses(this.#mark, MARK).length > 0) {
      killMarked(this.#mark, MARK);
      await sleep(LOOK_MS);
    }
    for (const directory of mountsBelow(this.#folder)) detach(directory);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

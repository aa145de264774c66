/** Commands in the process of the test: starting the program for each would take most of a test's time. */
import { PassThrough, Writable } from 'node:stream';
import { runCommand } from '../../../src/cli/program.js';
import type { Machine } from '../../support/drive-mount.js';

export interface CommandEnd {
  code: number;
  stdout: string;
  stderr: string;
}

class Collected extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

/** Runs a command of a machine, whatever its exit code. */
export async function tryHere(machine: Machine, ...args: string[]): Promise<CommandEnd> {
  const [stdout, stderr] = [new Collected(), new Collected()];
  const environment = { ...process.env, SHOAL_HOME: machine.home };
  const code = await runCommand(args, { stdin: new PassThrough(), stdout, stderr, environment });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** Runs a command that must succeed; returns what it printed. */
export async function shoalHere(machine: Machine, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await tryHere(machine, ...args);
  if (code !== 0) throw new Error(`'shoal ${args.join(' ')}' ended with ${code}: ${stderr}`);
  return stdout;
}

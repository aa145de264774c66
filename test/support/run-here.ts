/** Commands in the process of the test: starting the program for each would take most of a test's time. */
import { PassThrough, Writable } from 'node:stream';

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

/** Runs a command of Shoal, whatever its exit code. `environment` is added to that of the test. One at a time. */
export async function runHere(
  args: string[],
  environment: NodeJS.ProcessEnv,
  input = '',
): Promise<CommandEnd> {
  // Few tests need it.
  const { runCommand } = await import('../../src/cli/program.js');
  const [stdout, stderr] = [new Collected(), new Collected()];
  const stdin = new PassThrough();
  stdin.end(input);
  const context = { stdin, stdout, stderr, environment: { ...process.env, ...environment } };
  // Some commands end well with another code than 0.
  const ofTest = process.exitCode;
  process.exitCode = undefined;
  const code = await runCommand(args, context);
  const ofCommand = code === 0 ? Number(process.exitCode ?? 0) : code;
  process.exitCode = ofTest;
  return { code: ofCommand, stdout: stdout.text, stderr: stderr.text };
}

/** As {@link runHere}, of one that must succeed; returns what it printed. */
export async function runHereWell(args: string[], environment: NodeJS.ProcessEnv): Promise<string> {
  const { code, stdout, stderr } = await runHere(args, environment);
  if (code !== 0) throw new Error(`'shoal ${args.join(' ')}' ended with ${code}: ${stderr}`);
  return stdout;
}

/** Running programs with a deadline, their output captured. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

/** What a command left behind. */
export interface CommandResult {
  /** Exit code, or null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  cwd?: string;
  /** Added to the environment of this process; undefined takes a variable away. */
  env?: Record<string, string | undefined>;
  input?: string | Buffer;
  /** Milliseconds until the command is killed, which fails the call. */
  deadlineMs?: number;
  uid?: number;
  gid?: number;
}

const DEADLINE_MS = 60_000;
const OUTPUT_BYTES_MAX = 64 << 20;

/** A command that did not end well: the message carries its output. */
export class CommandError extends Error {
  readonly result: CommandResult;

  constructor(command: string, args: readonly string[], why: string, result: CommandResult) {
    const output = `${result.stdout}${result.stderr}`.trim();
    super(`Command '${[command, ...args].join(' ')}' ${why}${output === '' ? '' : `:\n${output}`}`);
    this.result = result;
  }
}

/** Runs a command to its end and returns its result, whatever the exit code. Fails only at the deadline. */
export async function tryCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: environment(options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  });
  const output = { stdout: collect(child.stdout), stderr: collect(child.stderr) };
  // A command may end without reading its input.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  let timer: NodeJS.Timeout | undefined;
  // Not waited for after the kill: a process that hangs in a file system's answer does not die.
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => {
      child.kill('SIGKILL');
      resolve('late');
    }, deadlineMs);
  });
  try {
    const end = await Promise.race([ended(child), late]);
    const captured = { stdout: output.stdout(), stderr: output.stderr() };
    if (end === 'late') {
      const result = { code: null, signal: 'SIGKILL' as const, ...captured };
      throw new CommandError(command, args, `did not end within ${deadlineMs} ms`, result);
    }
    return { ...end, ...captured };
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a command that must succeed; returns its standard output. Throws {@link CommandError}. */
export async function command(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await tryCommand(program, args, options);
  if (result.code !== 0) {
    const why =
      result.signal === null ? `ended with code ${result.code}` : `died of ${result.signal}`;
    throw new CommandError(program, args, why, result);
  }
  return result.stdout;
}

/** Resolves when a child has ended and its output is read. Rejects when it could not be started. */
export function ended(
  child: ChildProcess,
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

/** Whether a program is installed. */
export function hasProgram(program: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program]).status === 0;
}

function environment(changes: CommandOptions['env']): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, LC_ALL: 'C', ...changes };
  for (const [name, value] of Object.entries(env)) if (value === undefined) delete env[name];
  return env;
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const pieces: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (bytes <= OUTPUT_BYTES_MAX) pieces.push(piece);
  });
  return () => Buffer.concat(pieces).toString();
}

/** Kills a process, unless it has ended. */
export function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

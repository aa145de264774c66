/** Runs one test file in a process of its own and judges what it printed and left behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ended } from '../command.js';
import { anyMountsBelow, detach, killMarked, MARK, markedProcesses } from './leftovers.js';
import { parseTap } from './tap.js';

/** One counted group of tests. */
export interface FileResult {
  name: string;
  passed: number;
  failed: number;
  skipped: string[];
  assertions: number;
  seconds: number;
  /** What to show when something failed. */
  output: string;
}

/** A file that takes longer than this is killed with all its processes, and fails. The longest take 30 to 60 s of an idle machine. */
const FILE_TIME_MS_MAX = 480_000;
/** How long processes and mounts of an ended file may take to vanish. */
const VANISH_MS_MAX = 5_000;
/** How long a killed process, or the output of one that has ended, may take to be gone. */
const GONE_MS_MAX = 10_000;
const OUTPUT_LINES_MAX = 200;
const OUTPUT_BYTES_MAX = 16 << 20;
const RUN_FILE = fileURLToPath(new URL('./run-file.js', import.meta.url));

/** What marks the processes of a test file of this run. */
export function markOf(name: string): string {
  return `${process.pid}-${name}`;
}

/** Runs a compiled test file with TMPDIR and HOME in `folder`, which is made and removed. */
export async function runTestFile(
  name: string,
  file: string,
  folder: string,
  limitMs = FILE_TIME_MS_MAX,
): Promise<FileResult> {
  const started = performance.now();
  const mark = markOf(name);
  // Short names: the path of a socket has 107 bytes at most.
  const temporary = path.join(folder, 'tmp');
  const home = path.join(folder, 'home');
  mkdirSync(temporary, { recursive: true });
  mkdirSync(home);

  const child = spawn(process.execPath, ['--enable-source-maps', RUN_FILE, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: testEnvironment(mark, temporary, home),
  });
  const pieces: Buffer[] = [];
  let bytes = 0;
  const keep = (piece: Buffer) => {
    bytes += piece.length;
    if (bytes <= OUTPUT_BYTES_MAX) pieces.push(piece);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const end = { code: null as number | null, signal: null as NodeJS.Signals | null };
  const closed = ended(child).then((how) => Object.assign(end, how));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killMarked(mark);
  }, limitMs);
  // A process that hangs in the kernel does not die; then this goes on without it.
  const gone = await Promise.race([
    exited(child),
    sleep(limitMs + GONE_MS_MAX, false, { ref: false }),
  ]);
  clearTimeout(timer);
  const problems = await leftovers(mark, temporary);
  if (gone) await Promise.race([closed, sleep(GONE_MS_MAX, undefined, { ref: false })]);

  const report = parseTap(Buffer.concat(pieces).toString());
  if (late) problems.push(`did not end within ${limitMs / 1000} s and was killed`);
  else if (!report.complete) {
    problems.push(`ended early (${end.signal ?? `exit code ${end.code}`})`);
  } else if (end.code !== 0 && report.failed.length === 0) {
    problems.push(`ended with exit code ${end.code}`);
  }
  if (report.passed.length + report.failed.length + report.skipped.length === 0) {
    problems.push('ran no test');
  }
  rmSync(folder, { recursive: true, force: true });
  return {
    name,
    passed: report.passed.length,
    failed: report.failed.length + problems.length,
    skipped: report.skipped,
    assertions: report.assertions,
    seconds: (performance.now() - started) / 1000,
    output: [...clip(report.failureOutput), ...problems.map((line) => `${name} ${line}`)].join(
      '\n',
    ),
  };
}

/** Resolves when a process has ended; what it started may still hold its output open. */
function exited(child: ChildProcess): Promise<true> {
  return new Promise((resolve, reject) => {
    child.once('exit', () => resolve(true));
    child.once('error', reject);
  });
}

/** Nothing of the person's own settings or drives reaches a test, nor does a test reach the public network. */
function testEnvironment(mark: string, temporary: string, home: string): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (
      /^SHOAL_TEST_(SEED|STEPS)$/.test(name) ||
      !/^(SHOAL_|XDG_|GIT_|NODE_OPTIONS$|RSYNC_)/.test(name)
    )
      env[name] = value;
  }
  return {
    ...env,
    [MARK]: mark,
    TMPDIR: temporary,
    HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    SHOAL_HOME: path.join(home, 'shoal'),
    // A port on which nothing answers: a test that wants a network starts its own and overrides this.
    SHOAL_BOOTSTRAP: '127.0.0.1:1',
  };
}

/** Lists what is left after a grace period, and clears it away for the files that follow. */
async function leftovers(mark: string, temporary: string): Promise<string[]> {
  const deadline = performance.now() + VANISH_MS_MAX;
  while (performance.now() < deadline) {
    if (markedProcesses(mark).length === 0 && anyMountsBelow(temporary).length === 0) break;
    await sleep(50);
  }
  const problems: string[] = [];
  for (const { pid, command } of markedProcesses(mark)) {
    problems.push(`left process ${pid} behind: ${command.slice(0, 200)}`);
  }
  killMarked(mark);
  for (const directory of anyMountsBelow(temporary)) {
    problems.push(`left a mount behind at ${directory}`);
    detach(directory);
  }
  const files = existsSync(temporary) ? readdirSync(temporary) : [];
  if (files.length > 0)
    problems.push(`left files behind in TMPDIR: ${files.slice(0, 10).join(', ')}`);
  return problems;
}

function clip(text: string): string[] {
  const lines = text.split('\n').filter((line) => line !== '');
  if (lines.length <= OUTPUT_LINES_MAX) return lines;
  return [...lines.slice(0, OUTPUT_LINES_MAX), `... ${lines.length - OUTPUT_LINES_MAX} more lines`];
}

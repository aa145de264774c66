/**
 * Runs the tests: the type check, the lint, and every test file in a process of its own.
 *
 *   node dist/test/run.js [FILTER...]
 *
 * A test file is any `*.test.ts` below test/. A filter picks what has it in its name (the path below test/ without
 * `.test.ts`; the checks are `types` and `lint`). Five files run at a time: those with mounts spend more time waiting for
 * the disk, a peer or a deadline than working. The last line is `N passed, N failed`; the exit code is 1 when anything
 * failed or was left behind.
 */
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChecks } from './support/runner/checks.js';
import { killMarked } from './support/runner/leftovers.js';
import { type FileResult, markOf, runTestFile } from './support/runner/test-file.js';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const SUFFIX = '.test.ts';
const PARALLEL_FILES = 5;

process.exitCode = await main(process.argv.slice(2));

async function main(filters: string[]): Promise<number> {
  const wanted = (name: string) =>
    filters.length === 0 || filters.some((filter) => name.includes(filter));
  const names = testNames().filter(wanted);
  const runFolder = mkdtempSync(path.join(tmpdir(), 'shoal-'));
  // Tests that act as another user must get through.
  chmodSync(runFolder, 0o755);
  const running = new Set<string>();
  const stop = (signal: NodeJS.Signals) => {
    for (const name of running) killMarked(markOf(name));
    rmSync(runFolder, { recursive: true, force: true });
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);

  const results: FileResult[] = [];
  const add = (result: FileResult) => {
    results.push(result);
    report(result);
  };
  let count = 0;
  const run = async (name: string) => {
    running.add(name);
    const folder = path.join(runFolder, String(count++));
    add(await runTestFile(name, compiled(name), folder).catch((error) => notRun(name, error)));
    running.delete(name);
  };
  try {
    for (const result of await runChecks(ROOT, wanted)) add(result);
    const waiting = [...names.filter(takesLong), ...names.filter((name) => !takesLong(name))];
    const worker = async () => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await run(name);
    };
    await Promise.all(Array.from({ length: PARALLEL_FILES }, worker));
  } finally {
    rmSync(runFolder, { recursive: true, force: true });
  }
  return summarize(results);
}

/** Every test file by its source, so that a compiled file whose source is gone is not run. */
function testNames(): string[] {
  return readdirSync(path.join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort();
}

function compiled(name: string): string {
  return path.join(ROOT, 'dist', 'test', `${name}.test.js`);
}

/** Begun first, so that a long file does not run alone at the end. */
function takesLong(name: string): boolean {
  return /mount|end-to-end|hosts|silence/.test(name);
}

/** The others go on: were the run to end with them under way, their mounts would hide what was wrong. */
function notRun(name: string, error: unknown): FileResult {
  const output = `${name} could not be run, or cleaned up: ${error instanceof Error ? error.stack : String(error)}`;
  return { name, passed: 0, failed: 1, skipped: [], assertions: 0, seconds: 0, output };
}

function report(result: FileResult): void {
  const verdict = result.failed === 0 ? 'ok  ' : 'FAIL';
  const counts = `${result.passed} tests, ${result.assertions} asserts, ${result.seconds.toFixed(1)} s`;
  console.log(`${verdict} ${result.name} (${counts})`);
  for (const name of result.skipped) console.log(`     skipped: ${name}`);
  if (result.failed > 0) console.log(result.output.replace(/^/gm, '     '));
}

function summarize(results: FileResult[]): number {
  let passed = 0;
  let failed = 0;
  for (const result of results) {
    passed += result.passed;
    failed += result.failed;
  }
  const failing = results.filter((result) => result.failed > 0);
  if (failing.length > 0) console.log(`failed in: ${failing.map(({ name }) => name).join(', ')}`);
  if (passed + failed === 0) {
    console.log('Nothing was run: no test has such a name');
    failed = 1;
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

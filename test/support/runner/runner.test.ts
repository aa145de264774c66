import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Assertions, test } from 'brittle';
import { temporaryFolder } from '../temporary-folder.js';
import { parseTap } from './tap.js';
import { type FileResult, runTestFile } from './test-file.js';

/** The runner tried on test files that are bad in one way each. */
async function run(t: Assertions, body: string, limitMs?: number): Promise<FileResult> {
  const folder = temporaryFolder(t, 'runner');
  const file = path.join(folder, 'case.mjs');
  const brittle = pathToFileURL(path.resolve('node_modules/brittle/index.js'));
  writeFileSync(file, `import test from '${brittle}';\n${body}`);
  const result = await runTestFile('case', file, path.join(folder, 'run'), limitMs);
  t.absent(existsSync(path.join(folder, 'run')), 'its folder is removed');
  return result;
}

test('runner: a file whose tests pass, passes', async (t) => {
  const result = await run(
    t,
    "test('one', (t) => { t.pass(); t.ok(1); }); test.skip('two', (t) => t.pass());",
  );
  t.is(result.passed, 1);
  t.is(result.failed, 0);
  t.is(result.assertions, 2);
  t.alike(result.skipped, ['two']);
});

test('runner: a failed test fails, with its output', async (t) => {
  const result = await run(
    t,
    "test('one', (t) => t.pass()); test('two', (t) => t.is(1, 2, 'one is two'));",
  );
  t.is(result.passed, 1);
  t.is(result.failed, 1);
  t.ok(result.output.includes('one is two'));
});

test('runner: a file that throws, exits early or hangs fails', async (t) => {
  for (const body of [
    "test('one', () => { throw new Error('broken'); });",
    "test('one', () => process.exit(0));",
    "test('one', (t) => t.pass()); throw new Error('broken');",
    "import 'nowhere';",
  ]) {
    const result = await run(t, body);
    t.ok(result.failed >= 1, body);
    t.ok(result.output.length > 0, result.output);
  }
  const hung = await run(t, "test('one', { timeout: 0 }, () => { for (;;); });", 1500);
  t.ok(hung.output.includes('did not end within 1.5 s'), hung.output);
});

test('runner: a file without a test fails', async (t) => {
  const result = await run(t, 'console.log(typeof test);');
  t.is(result.passed, 0);
  t.ok(result.output.includes('ran no test'), result.output);
});

test('runner: what is left behind fails, and is cleared away', async (t) => {
  const left = await run(
    t,
    `import { spawn } from 'node:child_process';
     import { writeFileSync } from 'node:fs';
     test('one', (t) => {
       writeFileSync(process.env.TMPDIR + '/left', '');
       spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' }).unref();
       t.pass();
     });`,
  );
  t.is(left.passed, 1);
  t.is(left.failed, 2);
  t.ok(/left process \d+ behind: sleep 1000/.test(left.output), left.output);
  t.ok(left.output.includes('left files behind in TMPDIR: left'), left.output);
});

test('runner: a disk that is left behind is taken away', {
  skip: process.getuid?.() !== 0,
}, async (t) => {
  const left = await run(
    t,
    `import { execFileSync } from 'node:child_process';
     import { mkdirSync } from 'node:fs';
     test('one', (t) => {
       const disk = process.env.TMPDIR + '/disk';
       mkdirSync(disk);
       execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', disk]);
       t.pass();
     });`,
  );
  t.ok(/left a mount behind at .*\/disk/.test(left.output), left.output);
});

test('runner: a test that says nothing else has two minutes', async (t) => {
  const result = await run(
    t,
    `const real = globalThis.setTimeout;
     const asked = [];
     globalThis.setTimeout = (run, ms, ...rest) => {
       asked.push(ms);
       return real(run, ms, ...rest);
     };
     test('one', (t) => t.ok(asked.includes(120_000)));`,
  );
  t.is(result.passed, 1);
});

test('runner: a test does not see the settings of who runs it', async (t) => {
  process.env.SHOAL_HOME = '/nowhere';
  process.env.GIT_DIR = '/nowhere';
  const result = await run(
    t,
    `test('one', (t) => {
       t.ok(process.env.SHOAL_HOME.startsWith(process.env.HOME));
       t.is(process.env.GIT_DIR, undefined);
     });`,
  );
  delete process.env.SHOAL_HOME;
  delete process.env.GIT_DIR;
  t.is(result.failed, 0, result.output);
});

test('runner: output without an end is not complete', (t) => {
  const report = parseTap(
    'TAP version 13\n\n# one\n    ok 1 - a\nok 1 - one # time = 1.5ms\n\n# two\nboom\n',
  );
  t.alike(report.passed, ['one']);
  t.absent(report.complete);
  t.ok(report.failureOutput.includes('boom'));
});

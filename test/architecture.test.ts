import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'brittle';
import { importProblems, importsOf, withoutComments } from './support/imports.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FILE_LINES_MAX = 500;

/** Source files below some folders, by their path from the project's root. */
function sources(...folders: string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const folder of folders) {
    for (const name of readdirSync(path.join(ROOT, folder), {
      recursive: true,
      encoding: 'utf8',
    })) {
      // This file names what it looks for.
      if (!name.endsWith('.ts') || name === 'architecture.test.ts') continue;
      found.set(`${folder}/${name}`, readFileSync(path.join(ROOT, folder, name), 'utf8'));
    }
  }
  return found;
}

function defaultExports(file: string, source: string): string[] {
  const found = /\bexport\s+default\b|\bas\s+default\b/.test(withoutComments(source));
  return found ? [`${file}: exports a default`] : [];
}

function tooLong(file: string, source: string): string[] {
  const lines = source.trimEnd().split('\n').length;
  return lines >= FILE_LINES_MAX ? [`${file}: has ${lines} lines`] : [];
}

/** What may stand in a file for a moment, never in the end. */
function leftOvers(file: string, source: string): string[] {
  const found: string[] = [];
  source.split('\n').forEach((line, index) => {
    const word =
      /\b(TODO|FIXME|XXX|HACK|debugger)\b|@ts-(?:ignore|nocheck)|catch\s*(?:\([^)]*\)\s*)?\{\s*\}/.exec(
        line,
      );
    if (word !== null) found.push(`${file}:${index + 1}: '${word[0]}'`);
  });
  return found;
}

function check(
  files: Map<string, string>,
  problemsOf: (file: string, source: string) => string[],
): string[] {
  return [...files].flatMap(([file, source]) => problemsOf(file, source));
}

test('architecture: the imports of src and mount go one way', (t) => {
  const files = sources('src', 'mount');
  t.ok(files.size > 20, 'the sources were found');
  t.alike(check(files, importProblems), []);
});

test('architecture: no default exports', (t) => {
  t.alike(check(sources('src', 'mount', 'test', 'scripts'), defaultExports), []);
});

test(`architecture: files of src and mount are below ${FILE_LINES_MAX} lines`, (t) => {
  t.alike(check(sources('src', 'mount'), tooLong), []);
});

test('architecture: no unfinished places, no swallowed errors', (t) => {
  t.alike(check(sources('src', 'mount', 'test', 'scripts'), leftOvers), []);
});

test('architecture: an import that goes up or sideways is found', (t) => {
  const wrong: [string, string][] = [
    ['src/fs/inode.ts', "import { Drive } from '../drive/drive.js';"],
    ['src/tree/tree.ts', "import type { Chunk } from '../content/chunk.js';"],
    ['src/content/a/b.ts', "export * from '../../tree/tree.js';"],
    ['src/tree/tree.ts', "import {\n  one,\n  two,\n} from '../fs/inode.js';"],
    ['src/fs/volume.ts', "import { ROOT_INO } from '../../mount/file-system.js';"],
    ['src/fs/volume.ts', "import type { Session } from '../../mount/kernel/session.js';"],
    ['src/swarm/swarm.ts', "const { run } = await import('../cli/program.js');"],
    ['mount/kernel/session.ts', "import { limits } from '../../src/limits.js';"],
    ['src/log/wal.ts', "import '../swarm/swarm.js';"],
    ['src/limits.ts', "import { DriveError } from './errors.js';"],
    ['src/new/file.ts', ''],
  ];
  for (const [file, source] of wrong)
    t.is(importProblems(file, source).length, 1, `${file}: ${source}`);
});

test('architecture: imports that go down are fine', (t) => {
  const right: [string, string][] = [
    ['src/cli/commands/mount.ts', "import { Drive } from '../../drive/drive.js';"],
    ['src/fs/volume.ts', "import type { Attributes } from '../../mount/file-system.js';"],
    ['src/fs/volume.ts', "import { limits } from '../limits.js';\nimport fs from 'node:fs';"],
    ['src/drive/drive.ts', "import { mountDriver } from '../../mount/kernel/kernel-driver.js';"],
    ['src/tree/tree.ts', "// import { x } from '../fs/inode.js';\n/* import '../fs/inode.js' */"],
    ['mount/kernel/session.ts', "import { limits } from '../limits.js';"],
  ];
  for (const [file, source] of right)
    t.alike(importProblems(file, source), [], `${file}: ${source}`);
  t.is(
    importsOf("import a, { b } from './c.js';\nimport type { d } from './e.js';\nimport './f.js';")
      .length,
    3,
  );
});

test('architecture: the other rules find what they are for', (t) => {
  t.is(defaultExports('a.ts', 'export default function () {}').length, 1);
  t.is(defaultExports('a.ts', 'export { a as default };').length, 1);
  t.is(
    defaultExports('a.ts', 'export const a = 1; // no export default here'.split('//')[0] ?? '')
      .length,
    0,
  );
  t.is(tooLong('a.ts', 'line\n'.repeat(FILE_LINES_MAX)).length, 1);
  t.is(tooLong('a.ts', 'line\n'.repeat(FILE_LINES_MAX - 1)).length, 0);
  t.is(leftOvers('a.ts', 'one\n// TODO two\n').length, 1);
  t.is(leftOvers('a.ts', 'try { a(); } catch {}\n').length, 1);
  t.is(leftOvers('a.ts', 'try { a(); } catch (error) { }\n').length, 1);
  t.is(leftOvers('a.ts', 'const todoList = 1;\n').length, 0);
});

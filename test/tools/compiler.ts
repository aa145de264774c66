/** A C project that make builds in the directory. */
import assert from 'node:assert/strict';
import { appendFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { command, hasProgram, tryCommand } from '../support/command.js';
import type { DirectoryCheck } from '../support/run-behaviours.js';

const PARTS = 12;
const NUMBERS = Array.from({ length: PARTS }, (_, index) => index);
const COMPILER = hasProgram('cc') ? 'cc' : 'tcc';

/** Writes sources that all include one header; the program prints the sum of the numbers of all parts. */
function writeProject(directory: string): void {
  const write = (name: string, text: string) => writeFileSync(path.join(directory, name), text);
  write('parts.h', NUMBERS.map((index) => `int part${index}(void);\n`).join(''));
  for (const index of NUMBERS) {
    write(`part${index}.c`, `#include "parts.h"\nint part${index}(void) { return ${index}; }\n`);
  }
  const calls = NUMBERS.map((index) => `part${index}()`).join(' + ');
  write('main.c', `#include "parts.h"\nint main(void) { return ${calls}; }\n`);
  const objects = ['main.o', ...NUMBERS.map((index) => `part${index}.o`)].join(' ');
  write(
    'Makefile',
    [
      `program: ${objects}`,
      '\t$(CC) -o $@.new $^ && mv $@.new $@',
      '%.o: %.c parts.h',
      '\t$(CC) -c -o $@ $<',
      'clean:',
      '\trm -f program *.o',
      '',
    ].join('\n'),
  );
}

export const compilerChecks: DirectoryCheck[] = [
  {
    name: 'make -j2 builds a C project, and then only what changed',
    run: async (directory) => {
      const make = async (...args: string[]) =>
        await command('make', [`CC=${COMPILER}`, '-C', directory, ...args]);
      const built = (printed: string) => (printed.match(/ -c -o /g) ?? []).length;
      const program = path.join(directory, 'program');
      writeProject(directory);
      assert.equal(built(await make('-j2')), PARTS + 1);
      assert.equal((await tryCommand(program, [])).code, 66);
      assert.match(await make(), /up to date/);
      appendFileSync(path.join(directory, 'part3.c'), '/* newer */\n');
      assert.equal(built(await make('-j2')), 1);
      await command('touch', [path.join(directory, 'parts.h')]);
      assert.equal(built(await make('-j2')), PARTS + 1);
      assert.equal((await tryCommand(program, [])).code, 66);
      await make('clean');
      assert.equal(built(await make('-j2')), PARTS + 1);
    },
  },
];

/** File names are bytes. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { nameBytesMax } from '../support/syscalls.js';
import { behaviours, expectErrno } from './behaviour.js';

function join(directory: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), name]);
}

function listed(directory: string): string[] {
  return readdirSync(directory, { encoding: 'buffer' })
    .map((name) => name.toString('latin1'))
    .sort();
}

export const names = behaviours('names', {
  'every byte but the slash and NUL may be in a name': (directory) => {
    const expected: string[] = [];
    for (let byte = 1; byte < 256; byte++) {
      if (byte === 0x2f) continue;
      const name = Buffer.from([0x6e, byte]);
      writeFileSync(join(directory, name), Buffer.of(byte));
      expected.push(name.toString('latin1'));
    }
    assert.deepEqual(listed(directory), expected.sort());
    for (const name of expected) {
      const [, byte] = Buffer.from(name, 'latin1');
      assert.deepEqual([...readFileSync(join(directory, Buffer.from(name, 'latin1')))], [byte]);
    }
  },

  'names that are no UTF-8 can be renamed, linked to and removed': (directory) => {
    const from = Buffer.from([0xff, 0xfe, 0x80]);
    const to = Buffer.from([0xc3, 0x28, 0xa0]);
    writeFileSync(join(directory, from), 'text');
    renameSync(join(directory, from), join(directory, to));
    symlinkSync(to, join(directory, Buffer.from('link')));
    assert.equal(readFileSync(path.join(directory, 'link'), 'latin1'), 'text');
    mkdirSync(join(directory, from));
    writeFileSync(join(directory, Buffer.concat([from, Buffer.from('/below')])), '');
    assert.deepEqual(
      listed(directory),
      [to, from, Buffer.from('link')].map((name) => name.toString('latin1')).sort(),
    );
    unlinkSync(join(directory, to));
    expectErrno('ENOENT', () => readFileSync(path.join(directory, 'link')));
  },

  'a name may be as long as the file system says, and no longer': (directory) => {
    const max = nameBytesMax(directory);
    assert.ok(max >= 255, `names of ${max} bytes at most`);
    const longest = 'n'.repeat(max);
    writeFileSync(path.join(directory, longest), 'long');
    assert.deepEqual(readdirSync(directory), [longest]);
    assert.equal(readFileSync(path.join(directory, longest), 'latin1'), 'long');
    const tooLong = path.join(directory, `${longest}n`);
    expectErrno('ENAMETOOLONG', () => writeFileSync(tooLong, ''));
    expectErrno('ENAMETOOLONG', () => mkdirSync(tooLong));
    expectErrno('ENAMETOOLONG', () => symlinkSync('target', tooLong));
    expectErrno('ENAMETOOLONG', () => readFileSync(tooLong));
    expectErrno('ENAMETOOLONG', () => renameSync(path.join(directory, longest), tooLong));
  },

  'names that differ only in case or in Unicode form are different': (directory) => {
    const different = ['name', 'NAME', 'Name', '\u00e9', 'e\u0301', '\u212b', '\u00c5'];
    for (const name of different) writeFileSync(path.join(directory, name), name);
    for (const name of different)
      assert.equal(readFileSync(path.join(directory, name), 'utf8'), name);
    assert.deepEqual(readdirSync(directory).sort(), [...different].sort());
  },

  'odd names are ordinary': (directory) => {
    const odd = [
      ' ',
      '...',
      '-rf',
      '*',
      '\n',
      'a\tb',
      '"',
      "'",
      '\\',
      '~',
      '#',
      '.hidden',
      'x.',
      ':',
    ];
    for (const name of odd) writeFileSync(path.join(directory, name), name);
    assert.deepEqual(readdirSync(directory).sort(), [...odd].sort());
    for (const name of odd) {
      assert.equal(readFileSync(`${directory}/${name}`, 'utf8'), name);
      unlinkSync(`${directory}/${name}`);
    }
    assert.deepEqual(readdirSync(directory), []);
  },

  'a name can be used again at once after it was removed': (directory) => {
    const file = path.join(directory, 'name');
    for (let round = 0; round < 50; round++) {
      writeFileSync(file, `round ${round}`, { flag: 'wx' });
      assert.equal(readFileSync(file, 'latin1'), `round ${round}`);
      unlinkSync(file);
      assert.equal(existsSync(file), false);
      mkdirSync(file);
      expectErrno('EISDIR', () => readFileSync(file));
      renameSync(file, path.join(directory, `directory-${round}`));
    }
    assert.equal(readdirSync(directory).length, 50);
  },

  'a path of 40 directories works': (directory) => {
    const deep = path.join(
      directory,
      ...Array.from({ length: 40 }, (_, index) => `level-${index}`),
    );
    mkdirSync(deep, { recursive: true });
    writeFileSync(path.join(deep, 'file'), 'deep');
    assert.equal(
      readFileSync(path.join(deep, '..', '..', 'level-38', 'level-39', 'file'), 'latin1'),
      'deep',
    );
  },
});

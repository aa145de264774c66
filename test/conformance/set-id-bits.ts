/** When the set-user-id and set-group-id bits of a file go. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchownSync,
  openSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { asUser, SOMEBODY } from '../support/other-user.js';
import { FALLOC_KEEP_SIZE, fallocate, ftruncate } from '../support/syscalls.js';
import { type Behaviour, behaviours, expectErrno, stat, withFile } from './behaviour.js';

const { O_WRONLY, O_TRUNC } = constants;
/** Leaves an owner as it is. */
const SAME = 2 ** 32 - 1;
const somebody = <T>(run: () => T): T => asUser(SOMEBODY, SOMEBODY, run);

function mode(file: string): string {
  return (Number(stat(file).mode) & 0o7777).toString(8);
}

/** A change through a descriptor, which somebody else may or may not be the one to make. */
const CHANGES: Record<string, (fd: number) => void> = {
  'a write': (fd) => void writeSync(fd, 'x'),
  'a truncation': (fd) => ftruncate(fd, 2),
  'an allocation': (fd) => fallocate(fd, FALLOC_KEEP_SIZE, 0, 100_000),
};

/** A check with a root's file that all may write to, and a descriptor of it. */
function shared(run: (file: string, fd: number) => void): {
  needsRoot: true;
  run: Behaviour['run'];
} {
  return {
    needsRoot: true,
    run: (directory) => {
      const file = path.join(directory, 'file');
      writeFileSync(file, 'text');
      withFile(file, 'r+', (fd) => run(file, fd));
    },
  };
}

export const setIdBits = behaviours('set-id bits', {
  'they go when somebody who is not root changes the content, and stay when root does': shared(
    (file, fd) => {
      for (const [name, change] of Object.entries(CHANGES)) {
        chmodSync(file, 0o6777);
        change(fd);
        assert.equal(mode(file), '6777', `${name} by root`);
        somebody(() => change(fd));
        assert.equal(mode(file), '777', `${name} by somebody`);
      }
    },
  ),

  'they go when somebody opens the file with O_TRUNC': {
    needsRoot: true,
    run: (directory) => {
      const file = path.join(directory, 'file');
      chmodSync(directory, 0o777);
      for (const content of ['text', '']) {
        writeFileSync(file, content);
        chmodSync(file, 0o6777);
        withFile(directory, 'r', (fd) => {
          const shown = `/proc/self/fd/${fd}/file`;
          closeSync(somebody(() => openSync(shown, O_WRONLY | O_TRUNC)));
        });
        assert.equal(mode(file), '777', `with '${content}' in it`);
      }
    },
  },

  'without execution by the group, a stranger takes the second bit away, root does not': shared(
    (file, fd) => {
      chmodSync(file, 0o2767);
      writeSync(fd, 'x');
      assert.equal(mode(file), '2767');
      somebody(() => writeSync(fd, 'x'));
      assert.equal(mode(file), '767');
    },
  ),

  'they go with a chown, also one that changes nothing, but not for a stranger': shared(
    (file, fd) => {
      chmodSync(file, 0o6755);
      chownSync(file, 0, SOMEBODY);
      assert.equal(mode(file), '755', 'another group');
      chmodSync(file, 0o6755);
      somebody(() => expectErrno('EPERM', () => fchownSync(fd, SAME, SAME)));
      assert.equal(mode(file), '6755', 'by a stranger');
      fchownSync(fd, SAME, SAME);
      assert.equal(mode(file), '755', 'nothing changed');
      somebody(() => fchownSync(fd, SAME, SAME));
    },
  ),
});

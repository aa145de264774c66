/** What other users may and may not do. */
import assert from 'node:assert/strict';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { asUser, SOMEBODY, SOMEBODY_ELSE } from '../support/other-user.js';
import { mknod, UTIME_NOW, utimensat } from '../support/syscalls.js';
import { getxattr, setxattr } from '../support/xattr.js';
import { type Behaviour, behaviours, expectErrno, stat, withFile } from './behaviour.js';

const NOW = { sec: 0, nsec: UTIME_NOW };
const THEN = { sec: 1_000_000_000, nsec: 0 };

/**
 * A check in a directory that everybody may write to. It gets there through a descriptor, because the folders above
 * may be closed to others.
 */
function shared(run: (directory: string) => void): { needsRoot: true; run: Behaviour['run'] } {
  return {
    needsRoot: true,
    run: (directory) => {
      chmodSync(directory, 0o777);
      withFile(directory, 'r', (fd) => run(`/proc/self/fd/${fd}`));
    },
  };
}

const somebody = <T>(run: () => T): T => asUser(SOMEBODY, SOMEBODY, run);
const somebodyElse = <T>(run: () => T): T => asUser(SOMEBODY_ELSE, SOMEBODY_ELSE, run);

export const permissions = behaviours('permissions', {
  'new files, directories, links and fifos belong to who makes them': shared((directory) => {
    somebody(() => {
      writeFileSync(path.join(directory, 'file'), 'text');
      mkdirSync(path.join(directory, 'sub'));
      symlinkSync('x', path.join(directory, 'link'));
      mknod(path.join(directory, 'fifo'), 0o010600);
    });
    for (const name of ['file', 'sub', 'link', 'fifo']) {
      const { uid, gid } = stat(path.join(directory, name));
      assert.deepEqual([Number(uid), Number(gid)], [SOMEBODY, SOMEBODY], name);
    }
  }),

  'owner, group and others have the bits of their class': shared((directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    chownSync(file, SOMEBODY, SOMEBODY_ELSE);
    chmodSync(file, 0o640);
    somebody(() => writeFileSync(file, 'mine'));
    asUser(1, SOMEBODY_ELSE, () => {
      assert.equal(readFileSync(file, 'latin1'), 'mine');
      expectErrno('EACCES', () => writeFileSync(file, 'group'));
    });
    asUser(1, 1, () => expectErrno('EACCES', () => readFileSync(file)));
    chmodSync(file, 0o004);
    somebody(() => expectErrno('EACCES', () => readFileSync(file)));
    asUser(1, 1, () => assert.equal(readFileSync(file, 'latin1'), 'mine'));
    assert.equal(readFileSync(file, 'latin1'), 'mine');
  }),

  'a directory needs x to be walked, r to be listed, w to be changed': shared((directory) => {
    const sub = path.join(directory, 'sub');
    mkdirSync(sub);
    writeFileSync(path.join(sub, 'file'), 'text');
    chmodSync(path.join(sub, 'file'), 0o666);
    chmodSync(sub, 0o711);
    somebody(() => {
      assert.equal(readFileSync(path.join(sub, 'file'), 'latin1'), 'text');
      expectErrno('EACCES', () => readdirSync(sub));
      expectErrno('EACCES', () => writeFileSync(path.join(sub, 'new'), ''));
      expectErrno('EACCES', () => unlinkSync(path.join(sub, 'file')));
      expectErrno('EACCES', () => renameSync(path.join(sub, 'file'), path.join(directory, 'out')));
      expectErrno('EACCES', () => mkdirSync(path.join(sub, 'below')));
    });
    chmodSync(sub, 0o744);
    somebody(() => {
      assert.deepEqual(readdirSync(sub), ['file']);
      expectErrno('EACCES', () => readFileSync(path.join(sub, 'file')));
    });
  }),

  'access(2) answers for every class': shared((directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    chmodSync(file, 0o644);
    expectErrno('EACCES', () => accessSync(file, constants.X_OK));
    chmodSync(file, 0o744);
    accessSync(file, constants.R_OK | constants.W_OK | constants.X_OK);
  }),

  'only the owner changes mode, owner and set times': shared((directory) => {
    const file = path.join(directory, 'file');
    somebody(() => writeFileSync(file, 'text'));
    chmodSync(file, 0o666);
    somebodyElse(() => {
      expectErrno('EPERM', () => chmodSync(file, 0o777));
      expectErrno('EPERM', () => chownSync(file, SOMEBODY_ELSE, SOMEBODY_ELSE));
      expectErrno('EPERM', () => utimensat(file, THEN, THEN));
      // Who may write may touch.
      utimensat(file, NOW, NOW);
    });
    chmodSync(file, 0o644);
    somebodyElse(() => expectErrno('EACCES', () => utimensat(file, NOW, NOW)));
    somebody(() => {
      chmodSync(file, 0o600);
      utimensat(file, THEN, THEN);
      chownSync(file, SOMEBODY, SOMEBODY);
      expectErrno('EPERM', () => chownSync(file, SOMEBODY_ELSE, SOMEBODY));
      expectErrno('EPERM', () => chownSync(file, SOMEBODY, SOMEBODY_ELSE));
    });
  }),

  'truncate needs the right to write': shared((directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    chmodSync(file, 0o644);
    somebody(() => {
      expectErrno('EACCES', () => truncateSync(file, 0));
      expectErrno('EACCES', () => writeFileSync(file, ''));
    });
    assert.equal(readFileSync(file, 'latin1'), 'text');
  }),

  "in a sticky directory one removes only what is one's own": shared((directory) => {
    chmodSync(directory, 0o1777);
    const file = path.join(directory, 'file');
    somebody(() => writeFileSync(file, 'text'));
    chmodSync(file, 0o666);
    somebodyElse(() => {
      expectErrno(['EPERM', 'EACCES'], () => unlinkSync(file));
      expectErrno(['EPERM', 'EACCES'], () => renameSync(file, path.join(directory, 'stolen')));
      writeFileSync(path.join(directory, 'own'), '');
      expectErrno(['EPERM', 'EACCES'], () => renameSync(path.join(directory, 'own'), file));
    });
    somebody(() => unlinkSync(file));
    assert.equal(existsSync(file), false);
  }),

  'in a set-group-id directory the group is inherited, by directories with the bit': shared(
    (directory) => {
      const team = path.join(directory, 'team');
      mkdirSync(team);
      chownSync(team, 0, SOMEBODY_ELSE);
      chmodSync(team, 0o2777);
      somebody(() => {
        writeFileSync(path.join(team, 'file'), '');
        mkdirSync(path.join(team, 'sub'), 0o755);
      });
      assert.equal(stat(path.join(team, 'file')).gid, BigInt(SOMEBODY_ELSE));
      assert.equal(stat(path.join(team, 'sub')).gid, BigInt(SOMEBODY_ELSE));
      assert.equal(stat(path.join(team, 'sub')).mode & 0o7777n, 0o2755n);
      assert.equal(stat(path.join(team, 'file')).mode & 0o2000n, 0n);
      assert.equal(stat(path.join(team, 'file')).uid, BigInt(SOMEBODY));
    },
  ),

  'a write, a truncate and a chown by others take set-user-id away': shared((directory) => {
    const file = path.join(directory, 'file');
    const changes: Record<string, () => void> = {
      write: () => somebody(() => withFile(file, 'r+', (fd) => writeSync(fd, 'X'))),
      truncate: () => somebody(() => truncateSync(file, 1)),
      chown: () => chownSync(file, SOMEBODY_ELSE, SOMEBODY_ELSE),
    };
    for (const [what, change] of Object.entries(changes)) {
      writeFileSync(file, 'program');
      chownSync(file, 0, 0);
      chmodSync(file, 0o6777);
      assert.equal(stat(file).mode & 0o7777n, 0o6777n);
      change();
      assert.equal(stat(file).mode & 0o7777n, 0o777n, what);
    }
  }),

  'extended attributes follow the right to read and write': shared((directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    chmodSync(file, 0o604);
    setxattr(file, 'user.x', Buffer.from('value'));
    somebody(() => {
      assert.equal(getxattr(file, 'user.x').toString(), 'value');
      expectErrno('EACCES', () => setxattr(file, 'user.x', Buffer.from('other')));
    });
    chmodSync(file, 0o600);
    somebody(() => expectErrno('EACCES', () => getxattr(file, 'user.x')));
  }),

  'root does what it wants': shared((directory) => {
    const sub = path.join(directory, 'sub');
    somebody(() => {
      mkdirSync(sub);
      writeFileSync(path.join(sub, 'file'), 'text');
      chmodSync(path.join(sub, 'file'), 0);
      chmodSync(sub, 0);
      expectErrno('EACCES', () => readdirSync(sub));
    });
    assert.equal(readFileSync(path.join(sub, 'file'), 'latin1'), 'text');
    unlinkSync(path.join(sub, 'file'));
    rmdirSync(sub);
  }),
});

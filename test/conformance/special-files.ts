/** Fifos, sockets and device nodes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { ended } from '../support/command.js';
import { mknod } from '../support/syscalls.js';
import { behaviours, expectErrno, stat } from './behaviour.js';

const S_IFIFO = 0o010000;
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;
const S_IFREG = 0o100000;
const S_IFSOCK = 0o140000;

export const specialFiles = behaviours('special files', {
  'fifos, sockets and plain files are made by mknod with their modes': (directory) => {
    mknod(path.join(directory, 'fifo'), S_IFIFO | 0o640);
    mknod(path.join(directory, 'socket'), S_IFSOCK | 0o600);
    mknod(path.join(directory, 'file'), S_IFREG | 0o644);
    assert.ok(stat(path.join(directory, 'fifo')).isFIFO());
    assert.equal(stat(path.join(directory, 'fifo')).mode & 0o777n, 0o640n);
    assert.ok(stat(path.join(directory, 'socket')).isSocket());
    assert.ok(stat(path.join(directory, 'file')).isFile());
    writeFileSync(path.join(directory, 'file'), 'text');
    expectErrno('EEXIST', () => mknod(path.join(directory, 'fifo'), S_IFIFO | 0o640));
    expectErrno('ENXIO', () => readFileSync(path.join(directory, 'socket')));
    unlinkSync(path.join(directory, 'fifo'));
    expectErrno('ENOENT', () => stat(path.join(directory, 'fifo')));
  },

  'a fifo carries bytes between processes': async (directory) => {
    const fifo = path.join(directory, 'fifo');
    mknod(fifo, S_IFIFO | 0o600);
    const writer = spawn('sh', ['-c', 'echo through the fifo > "$1"', 'sh', fifo]);
    const reader = spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    reader.stdout.on('data', (piece: Buffer) => {
      text += piece.toString();
    });
    const ends = await Promise.all([ended(writer), ended(reader)]);
    assert.deepEqual(
      ends.map(({ code }) => code),
      [0, 0],
    );
    assert.equal(text, 'through the fifo\n');
    assert.equal(stat(fifo).size, 0n);
  },

  'a socket can be bound and connected to': async (directory) => {
    // The path of a socket is short; through /proc a deep directory has a short one.
    const fd = openSync(directory, 'r');
    const name = `/proc/self/fd/${fd}/socket`;
    const server = createServer((socket) => socket.end('from the server'));
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(name, resolve);
      });
      assert.ok(stat(path.join(directory, 'socket')).isSocket());
      const client = connect(name);
      let text = '';
      for await (const piece of client) text += String(piece);
      assert.equal(text, 'from the server');
    } finally {
      await new Promise((resolve) => server.close(resolve));
      closeSync(fd);
    }
  },

  'device nodes keep their numbers': {
    needsRoot: true,
    run: (directory) => {
      const [major, minor] = [1, 3];
      mknod(path.join(directory, 'char'), S_IFCHR | 0o600, (major << 8) | minor);
      mknod(path.join(directory, 'block'), S_IFBLK | 0o600, (7 << 8) | 200);
      assert.ok(stat(path.join(directory, 'char')).isCharacterDevice());
      assert.equal(stat(path.join(directory, 'char')).rdev, 259n);
      assert.ok(stat(path.join(directory, 'block')).isBlockDevice());
      assert.equal(stat(path.join(directory, 'block')).rdev, BigInt((7 << 8) | 200));
    },
  },
});

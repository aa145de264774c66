import test from 'brittle';
import type { Caller, FileSystem } from '../../mount/file-system.js';
import { Notifier } from '../../mount/kernel/notifier.js';
import { OPERATIONS, UNKNOWN_OPERATION } from '../../mount/kernel/operations/table.js';
import { OPCODE, OPCODE_MAX } from '../../mount/kernel/protocol/opcodes.js';
import { Session } from '../../mount/kernel/session.js';
import { FakePort, initBody, requestOf } from './support/fake-port.js';
import { MemoryFileSystem } from './support/memory-file-system.js';
import { ErrnoError, NoOpFileSystem } from './support/no-op-file-system.js';

const EINTR = 4;
const EIO = 5;
const EAGAIN = 11;
const EINVAL = 22;
const EFBIG = 27;
const ERANGE = 34;
const ENAMETOOLONG = 36;
const ENOSYS = 38;

function sessionOf(fileSystem: FileSystem, { init = true } = {}) {
  const notices: string[] = [];
  let agreed: unknown = null;
  const notifier = new Notifier(
    (_, done) => done(0),
    () => null,
  );
  const session = new Session(fileSystem, notifier, {
    onInit: (parameters) => {
      agreed = parameters;
    },
    onNotice: (line) => notices.push(line),
  });
  const port = new FakePort();
  /** Sends a request; returns its answer when there is one at once. */
  const ask = (request: Buffer) => {
    const before = port.replies.length;
    session.handle(request, request.length, port);
    return port.replies[before];
  };
  if (init) ask(requestOf(OPCODE.INIT, { ino: 0, body: initBody() }));
  return { session, port, ask, notices, agreed: () => agreed };
}

const text = (...names: string[]) => Buffer.from(names.map((name) => `${name}\0`).join(''));
const bytes = (length: number, ...fields: [at: number, value: bigint | number][]) => {
  const body = Buffer.alloc(length);
  for (const [at, value] of fields) {
    if (typeof value === 'bigint') body.writeBigUInt64LE(value, at);
    else body.writeUInt32LE(value, at);
  }
  return body;
};

test('every opcode has an entry, and those that are not served say so', (t) => {
  const { ask } = sessionOf(new NoOpFileSystem());
  const silent = ['forget', 'batch_forget', 'notify_reply'];
  for (let opcode = 1; opcode <= OPCODE_MAX; opcode++) {
    const operation = OPERATIONS[opcode];
    t.ok(operation, `opcode ${opcode}: ${operation?.name}`);
    const assigned = Object.values(OPCODE).includes(opcode as never);
    t.is(operation !== UNKNOWN_OPERATION, assigned);
    const answer = ask(requestOf(opcode, { body: Buffer.alloc(256) }));
    t.is(answer === undefined, silent.includes(operation?.name ?? ''), 'answered');
  }
  for (const opcode of [31, 32, 33, 34, 37, 39, 40, 48, 49, 54, 4096, 0xffffffff]) {
    t.is(ask(requestOf(opcode, { body: Buffer.alloc(256) }))?.errno, ENOSYS, `opcode ${opcode}`);
  }
});

test('init - agrees on what both know', (t) => {
  const fileSystem = new MemoryFileSystem({ wantsWritebackCache: true });
  const { ask, agreed } = sessionOf(fileSystem, { init: false });
  t.is(ask(requestOf(OPCODE.GETATTR, { body: bytes(16) }))?.errno, EIO, 'not before init');
  const answer = ask(requestOf(OPCODE.INIT, { ino: 0, body: initBody({ minor: 99 }) }));
  const body = answer?.body ?? Buffer.alloc(0);
  t.is(answer?.errno, 0);
  t.is(body.length, 64);
  t.is(body.readUInt32LE(0), 7);
  t.is(body.readUInt32LE(4), 45);
  const flags = body.readUInt32LE(12);
  for (const bit of [0, 3, 5, 13, 14, 15, 16, 18, 22, 23, 28, 30])
    t.ok(flags & (1 << bit), `flag ${bit}`);
  for (const bit of [1, 4, 6, 10, 17, 20, 24, 25, 29])
    t.absent(flags & (1 << bit), `no flag ${bit}`);
  t.is(body.readUInt32LE(20), 1 << 20, 'max_write');
  t.is(body.readUInt32LE(24), 1, 'time_gran');
  t.is(body.readUInt16LE(28), 256, 'max_pages');
  t.alike(agreed(), { writebackCache: true, requestBytesMax: 1 << 20, posixAcl: false });
  t.is(ask(requestOf(OPCODE.INIT, { ino: 0, body: initBody() }))?.errno, EINVAL, 'only once');

  const old = sessionOf(new NoOpFileSystem(), { init: false });
  t.is(old.ask(requestOf(OPCODE.INIT, { ino: 0, body: initBody({ minor: 20 }) }))?.errno, EINVAL);
  t.ok(old.agreed() instanceof Error);
  const offered = sessionOf(new NoOpFileSystem(), { init: false });
  const few = offered.ask(requestOf(OPCODE.INIT, { ino: 0, body: initBody({ flags: 1 }) }));
  t.is(few?.body.readUInt32LE(12), 1, 'nothing that was not offered');
});

test('decode - a caller, and both parts of 64-bit numbers', async (t) => {
  let seen: unknown;
  class Seeing extends NoOpFileSystem {
    override read(...[ino, handle, offset, length, caller]: Parameters<FileSystem['read']>) {
      const { uid, gid, pid } = caller;
      seen = { ino, handle, offset, length, uid, gid, pid };
      return Buffer.from('data');
    }
  }
  const { ask } = sessionOf(new Seeing());
  const big = 2n ** 53n - 1n;
  const body = bytes(40, [0, big], [8, 2n ** 40n + 5n], [16, 4096]);
  const answer = ask(requestOf(OPCODE.READ, { ino: Number(2n ** 48n + 1n), unique: 77, body }));
  t.is(answer?.body.toString(), 'data');
  t.is(answer?.unique, 77);
  t.alike(seen, {
    ino: 2 ** 48 + 1,
    handle: 2 ** 53 - 1,
    offset: 2 ** 40 + 5,
    length: 4096,
    uid: 1000,
    gid: 1001,
    pid: 1002,
  });
});

test('decode - malformed requests get EINVAL, are counted, and reach nobody', (t) => {
  const { session, ask } = sessionOf(new NoOpFileSystem());
  const cases: [string, Buffer, number][] = [
    ['an empty name', requestOf(OPCODE.LOOKUP, { body: text('') }), EINVAL],
    ['no name', requestOf(OPCODE.LOOKUP), EINVAL],
    ['a name without its end', requestOf(OPCODE.LOOKUP, { body: Buffer.from('abc') }), EINVAL],
    ['bytes behind a name', requestOf(OPCODE.LOOKUP, { body: text('a', 'b') }), EINVAL],
    ['a path', requestOf(OPCODE.LOOKUP, { body: text('a/b') }), EINVAL],
    ['dot', requestOf(OPCODE.UNLINK, { body: text('.') }), EINVAL],
    ['dot dot', requestOf(OPCODE.RMDIR, { body: text('..') }), EINVAL],
    ['one name of two', requestOf(OPCODE.RENAME, { body: bytes(8, [0, 1n]) }), EINVAL],
    ['a short structure', requestOf(OPCODE.READ, { body: bytes(39) }), EINVAL],
    ['too large a read', requestOf(OPCODE.READ, { body: bytes(40, [16, (1 << 20) + 1]) }), EINVAL],
    ['less data than said', requestOf(OPCODE.WRITE, { body: bytes(50, [16, 11]) }), EINVAL],
    ['more data than said', requestOf(OPCODE.WRITE, { body: bytes(50, [16, 9]) }), EINVAL],
    ['a handle above 2^53', requestOf(OPCODE.FLUSH, { body: bytes(24, [0, 2n ** 53n]) }), EINVAL],
    ['inode 0', requestOf(OPCODE.GETATTR, { ino: 0, body: bytes(16) }), EINVAL],
    ['a wrong length', requestOf(OPCODE.GETATTR, { body: bytes(16), length: 57 }), EINVAL],
    ['long extensions', requestOf(OPCODE.GETATTR, { body: bytes(16), extlen: 3 }), EINVAL],
    ['nanoseconds', requestOf(OPCODE.SETATTR, { body: bytes(88, [0, 16], [56, 1e9]) }), EINVAL],
    [
      'xattr size',
      requestOf(OPCODE.SETXATTR, { body: Buffer.concat([bytes(8, [0, 9]), text('user.a')]) }),
      EINVAL,
    ],
  ];
  for (const [what, request, errno] of cases) {
    const before = session.statistics().malformedRequests;
    t.is(ask(request)?.errno, errno, what);
    t.is(session.statistics().malformedRequests, before + 1, `${what}: counted`);
  }
  const before = session.statistics().malformedRequests;
  t.absent(ask(Buffer.alloc(39)), 'no header, no answer');
  t.absent(ask(requestOf(OPCODE.BATCH_FORGET, { ino: 0, body: bytes(8, [0, 0xffffffff]) })));
  t.is(session.statistics().malformedRequests, before + 2);
});

test('decode - what a program may ask but not get is no malformed request', (t) => {
  const { session, ask } = sessionOf(new NoOpFileSystem());
  const far = 2n ** 53n;
  const cases: [string, Buffer, number][] = [
    ['a long name', requestOf(OPCODE.LOOKUP, { body: text('x'.repeat(256)) }), ENAMETOOLONG],
    ['a read far out', requestOf(OPCODE.READ, { ino: 2, body: bytes(40, [8, far]) }), EINVAL],
    ['a write far out', requestOf(OPCODE.WRITE, { ino: 2, body: bytes(40, [8, far]) }), EFBIG],
    [
      'a size far out',
      requestOf(OPCODE.SETATTR, { ino: 2, body: bytes(88, [0, 8], [16, far]) }),
      EFBIG,
    ],
    [
      'an early interrupt',
      requestOf(OPCODE.INTERRUPT, { ino: 0, body: bytes(8, [0, 4711n]) }),
      EAGAIN,
    ],
  ];
  for (const [what, request, errno] of cases) t.is(ask(request)?.errno, errno, what);
  t.is(session.statistics().malformedRequests, 0);
  t.is(ask(requestOf(OPCODE.LOOKUP, { body: text('x'.repeat(255)) }))?.errno, 2);
});

test('decode - a fuzz of broken requests throws nothing and answers each at most once', async (t) => {
  const { session, port } = sessionOf(new MemoryFileSystem());
  const random = generator(20250101);
  const opcodes = Object.values(OPCODE);
  const ROUNDS = 50_000;
  let sent = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const body = Buffer.alloc(random(200));
    const style = random(4);
    for (let at = 0; at < body.length; at++) {
      // Zeros, noise, texts with ends, small numbers in front of texts.
      if (style === 1 || (style === 3 && at % 8 === 0)) body[at] = random(256);
      else if (style === 2) body[at] = random(5) === 0 ? 0 : 97 + random(3);
    }
    const opcode = random(50) === 0 ? random(1 << 30) : (opcodes[random(opcodes.length)] ?? 0);
    const request = requestOf(opcode, {
      ino: random(4),
      unique: round + 10,
      body,
      length: 40 + body.length + (random(10) === 0 ? random(100) : 0),
      extlen: random(20) === 0 ? random(65536) : 0,
    });
    const cut = random(20) === 0 ? random(request.length) : request.length;
    session.handle(request, cut, port);
    sent++;
  }
  await new Promise((resolve) => setImmediate(resolve));
  const uniques = port.replies.map((reply) => reply.unique);
  t.is(new Set(uniques.slice(1)).size, uniques.length - 1, 'no second answer');
  t.ok(uniques.length > sent / 2, `${uniques.length} answers`);
  t.ok(port.replies.every(({ errno }) => errno >= 0 && errno < 512));
  t.ok(session.statistics().malformedRequests > sent / 10);
});

test('errors - of the file system become an errno, its nonsense EIO', async (t) => {
  class Failing extends NoOpFileSystem {
    override getattr(ino: number): never {
      throw new ErrnoError(ino);
    }
    override flush() {
      return Promise.reject(new ErrnoError(28));
    }
    override read() {
      return Buffer.alloc(100);
    }
    override write() {
      return 100;
    }
  }
  const { ask, port } = sessionOf(new Failing());
  t.is(ask(requestOf(OPCODE.GETATTR, { ino: 13, body: bytes(16) }))?.errno, 13);
  t.is(ask(requestOf(OPCODE.GETATTR, { ino: 100000, body: bytes(16) }))?.errno, EIO);
  const before = port.replies.length;
  t.absent(ask(requestOf(OPCODE.FLUSH, { body: bytes(24) })));
  await port.until(before + 1);
  t.is(port.replies[before]?.errno, 28);
  t.is(ask(requestOf(OPCODE.READ, { ino: 2, body: bytes(40, [16, 99]) }))?.errno, EIO);
  t.is(ask(requestOf(OPCODE.WRITE, { ino: 2, body: bytes(50, [16, 10]) }))?.errno, EIO);
});

test('xattr - room for the value decides', (t) => {
  class Valued extends NoOpFileSystem {
    override getxattr = () => Buffer.from('value');
    override listxattr = () => ['user.a', 'user.\xff'];
  }
  const { ask } = sessionOf(new Valued());
  const get = (room: number) =>
    ask(requestOf(OPCODE.GETXATTR, { body: Buffer.concat([bytes(8, [0, room]), text('user.a')]) }));
  t.is(get(0)?.body.readUInt32LE(0), 5);
  t.is(get(5)?.body.toString(), 'value');
  t.is(get(4)?.errno, ERANGE);
  const list = ask(requestOf(OPCODE.LISTXATTR, { body: bytes(8, [0, 100]) }));
  t.is(list?.body.toString('latin1'), 'user.a\0user.\xff\0');
});

test('access lists - all that they take is agreed on, or nothing; a set list carries its flags', (t) => {
  const seen: unknown[] = [];
  class Listed extends NoOpFileSystem {
    override readonly wantsPosixAcl = true;
    override setxattr = (...args: unknown[]) => {
      seen.push([args[1], String(args[2]), args[3], args[5]]);
    };
    override mkdir = (...args: unknown[]) => {
      seen.push(args[4]);
      throw new ErrnoError(EIO);
    };
  }
  const ACL_FLAGS = (1 << 6) | (1 << 20) | (1 << 29);
  const flagsFor = (offered: number, fileSystem: FileSystem) => {
    const request = requestOf(OPCODE.INIT, { ino: 0, body: initBody({ flags: offered }) });
    return sessionOf(fileSystem, { init: false }).ask(request)?.body.readUInt32LE(12);
  };
  t.is(flagsFor(ACL_FLAGS, new Listed()), ACL_FLAGS);
  t.is(flagsFor(ACL_FLAGS & ~(1 << 29), new Listed()), 0);
  t.is(flagsFor(ACL_FLAGS, new NoOpFileSystem()), 0);

  const { ask } = sessionOf(new Listed());
  const [name, value] = ['system.posix_acl_access', 'value'];
  const set = (killsSgid: number) =>
    Buffer.concat([
      bytes(16, [0, value.length], [4, 2], [8, killsSgid]),
      text(name),
      Buffer.from(value),
    ]);
  t.is(ask(requestOf(OPCODE.SETXATTR, { body: set(0) }))?.errno, 0);
  t.is(ask(requestOf(OPCODE.SETXATTR, { body: set(1) }))?.errno, 0);
  ask(
    requestOf(OPCODE.MKDIR, { body: Buffer.concat([bytes(8, [0, 0o777], [4, 0o27]), text('d')]) }),
  );
  t.alike(seen, [[name, value, 2, false], [name, value, 2, true], 0o27]);
});

test('interrupt - aborts the signal of the outstanding request only', async (t) => {
  const callers: Caller[] = [];
  class Waiting extends NoOpFileSystem {
    override flush(_ino: number, _handle: number, caller: Caller): Promise<void> {
      callers.push(caller);
      return new Promise((_, reject) => {
        caller.signal.addEventListener('abort', () => reject(new ErrnoError(EINTR)));
      });
    }
  }
  const { ask, port, session } = sessionOf(new Waiting());
  ask(requestOf(OPCODE.FLUSH, { unique: 100, body: bytes(24) }));
  ask(requestOf(OPCODE.FLUSH, { unique: 102, body: bytes(24) }));
  t.is(session.outstanding, 2);
  const before = port.replies.length;
  ask(requestOf(OPCODE.INTERRUPT, { ino: 0, unique: 101, body: bytes(8, [0, 100n]) }));
  await port.until(before + 2);
  t.is(callers[0]?.signal.aborted, true);
  t.is(callers[1]?.signal.aborted, false);
  t.alike(
    port.replies.slice(before).map(({ unique, errno }) => [unique, errno]),
    [
      [101, 0],
      [100, EINTR],
    ],
  );
  session.end();
  t.is(callers[1]?.signal.aborted, true, 'the end interrupts all');
  await new Promise((resolve) => setImmediate(resolve));
  t.is(port.replies.length, before + 2, 'and answers none');
});

/** A small generator of numbers below a limit (mulberry32), the same for the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

test('read - an answer in very many pieces is taken whole', (t) => {
  class Pieces extends NoOpFileSystem {
    override read(): Buffer[] {
      return Array.from({ length: 3000 }, (_, i) => Buffer.alloc(10, i));
    }
  }
  const { ask } = sessionOf(new Pieces());
  const answer = ask(requestOf(OPCODE.READ, { body: bytes(40, [16, 30_000]) }));
  t.is(answer?.errno, 0);
  t.ok(answer?.body.equals(Buffer.concat(new Pieces().read())));
});

test('an answer that the kernel refuses is followed by an error', (t) => {
  class Refused extends NoOpFileSystem {
    override read(): Buffer[] {
      return [Buffer.alloc(20_000), Buffer.alloc(10_000)];
    }
  }
  const { ask, port, notices } = sessionOf(new Refused());
  port.writev = () => EINVAL;
  t.is(ask(requestOf(OPCODE.READ, { body: bytes(40, [16, 30_000]) }))?.errno, EIO);
  t.is(notices.length, 1);
});

import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'brittle';
import { MountBusyError, MountError, MountPointError } from '../../mount/errors.js';
import { KernelDriver } from '../../mount/kernel/kernel-driver.js';
import { mountLimits } from '../../mount/limits.js';
import { MemoryFileSystem } from './support/memory-file-system.js';
import { isMounted, mounted, run, start, temporaryDirectory } from './support/mounted.js';

test('mount - files of any content and name are listed, read, written', async (t) => {
  const fileSystem = new MemoryFileSystem();
  fileSystem.put('hello', 'hello\n');
  fileSystem.put('later', 'answered in a later turn\n');
  const name = Buffer.from([0x6e, 0xff, 0xfe]);
  const mount = await mounted(t, fileSystem);
  await run('sh', '-c', `printf x > "${mount.directory}/$(printf 'n\\377\\376')"`);
  t.is((await run('cat', `${mount.directory}/hello`)).output, 'hello\n');
  t.is((await run('cat', `${mount.directory}/later`)).output, 'answered in a later turn\n');
  const listed = await run('ls', mount.directory);
  t.is(listed.output, `hello\nlater\n${name.toString('latin1')}\n`);
  t.is((await run('cat', `${mount.directory}/nothing`)).code, 1);
  const copied = await run(
    'dd',
    'if=/dev/urandom',
    `of=${mount.directory}/big`,
    'bs=1M',
    'count=5',
  );
  t.is(copied.code, 0);
  t.is(fileSystem.contentOf('big').length, 5 << 20);
  const sum = await run('sh', '-c', `sha256sum < '${mount.directory}/big'`);
  t.is(
    sum.output.split(' ')[0],
    createHash('sha256').update(fileSystem.contentOf('big')).digest('hex'),
  );
});

test('mount - times are exact to the nanosecond, before 1970 too', async (t) => {
  const fileSystem = new MemoryFileSystem();
  fileSystem.put('f', '');
  const mount = await mounted(t, fileSystem);
  const file = `${mount.directory}/f`;
  await run('touch', '-m', '-d', '2001-02-03 04:05:06.123456789 UTC', file);
  await run('touch', '-a', '-d', '1960-01-01 00:00:00.000000001 UTC', file);
  const attributes = fileSystem.attributesOf('f');
  t.is(attributes.mtimeSec, 981173106);
  t.is(attributes.mtimeNsec, 123456789);
  t.is(attributes.atimeSec, -315619200);
  t.is(attributes.atimeNsec, 1);
  const shown = await run('stat', '-c', '%.9Y %.9X', file);
  t.is(shown.output, '981173106.123456789 -315619199.999999999\n');
});

test('mount - times of birth are told where that is wanted (Linux 6.6 and later)', async (t) => {
  for (const wantsBirthTimes of [true, false]) {
    const fileSystem = new MemoryFileSystem({ wantsBirthTimes });
    fileSystem.put('f', '');
    fileSystem.attributesOf('f').btimeSec = 86400;
    const mount = await mounted(t, fileSystem);
    const asked = () => mount.statistics().requestsByOperation.statx ?? 0;
    for (const answered of [1, 2]) {
      const shown = await run('stat', '-c', '%W %s', `${mount.directory}/f`);
      t.is(shown.output, `${wantsBirthTimes ? 86400 : 0} 0\n`);
      t.is(asked(), wantsBirthTimes ? answered : 1, 'who refuses it is asked once');
      await fileSystem.kernel?.invalidateAttributes(fileSystem.attributesOf('f').ino);
    }
  }
});

test('mount - a large directory is listed whole, and looked-up inodes are forgotten', async (t) => {
  const fileSystem = new MemoryFileSystem();
  for (let index = 0; index < 5000; index++) fileSystem.put(`file-${index}`, '');
  const mount = await mounted(t, fileSystem);
  const listed = await run('ls', '-l', mount.directory);
  t.is(listed.output.split('\n').length, 5002);
  t.ok((mount.statistics().requestsByOperation.readdirplus ?? 0) > 0);
  t.ok([...fileSystem.lookups.values()].some((count) => count > 0));
  await mount.unmount({ force: false });
  t.is(fileSystem.stoppedCalls, 1);
});

test('mount - a listing is asked for once, until something in it changed', async (t) => {
  const fileSystem = new MemoryFileSystem();
  for (const name of ['one', 'two', 'three']) fileSystem.put(name, '');
  const mount = await mounted(t, fileSystem);
  const list = async () => {
    const before = requests();
    const { output } = await run('ls', '-U', mount.directory);
    return { names: output.split('\n').filter(Boolean).sort(), asked: requests() - before };
  };
  const requests = () => {
    const { readdir = 0, readdirplus = 0 } = mount.statistics().requestsByOperation;
    return readdir + readdirplus;
  };
  const first = await list();
  t.ok(first.asked > 0);
  t.alike(await list(), { names: ['one', 'three', 'two'], asked: 0 });
  await run('touch', join(mount.directory, 'four'));
  const own = await list();
  t.ok(own.asked > 0);
  t.alike(own.names, ['four', 'one', 'three', 'two']);
  t.is((await list()).asked, 0);
  fileSystem.put('five', '');
  await fileSystem.kernel?.invalidateInode(1, 0, 0);
  t.alike((await list()).names, ['five', 'four', 'one', 'three', 'two']);
  t.is((await list()).asked, 0);
});

test('mount - no read asks for more than was agreed, whatever the size of a page', async (t) => {
  for (const driver of [new KernelDriver(), new KernelDriver({ fusermountCommand: '/none' })]) {
    const fileSystem = new MemoryFileSystem();
    const bytes = 4 * mountLimits.request_data_bytes_max;
    fileSystem.put('f', Buffer.alloc(bytes, 'content'));
    const mount = await mounted(t, fileSystem, {}, driver);
    const line = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .find((mountLine) => mountLine.includes(` ${mount.directory} `));
    t.ok(line?.split(/[ ,]/).includes(`max_read=${mountLimits.request_data_bytes_max}`), line);
    const direct = await run('dd', `if=${mount.directory}/f`, `bs=${bytes}`, 'iflag=direct');
    t.ok(Buffer.from(direct.output, 'latin1').equals(fileSystem.contentOf('f')));
    t.is(mount.statistics().requestsByOperation.read, 4);
  }
});

test('mount - the writeback cache is negotiated only when it is wished for', async (t) => {
  const cached = new MemoryFileSystem({ wantsWritebackCache: true });
  const mount = await mounted(t, cached);
  t.is(cached.parameters?.writebackCache, true);
  t.is(cached.parameters?.requestBytesMax, 1 << 20);
  // Small writes are gathered.
  await run('dd', 'if=/dev/zero', `of=${mount.directory}/f`, 'bs=4k', 'count=1024', 'conv=fsync');
  t.is(cached.contentOf('f').length, 4 << 20);
  t.ok((mount.statistics().requestsByOperation.write ?? 0) < 64);
  const plain = new MemoryFileSystem();
  await mounted(t, plain);
  t.is(plain.parameters?.writebackCache, false);
});

test('mount - a read-only file system refuses writes', async (t) => {
  const fileSystem = new MemoryFileSystem({ readOnly: true });
  fileSystem.put('f', 'content');
  const mount = await mounted(t, fileSystem);
  const refused = await run('sh', '-c', `echo > '${mount.directory}/f'`);
  t.ok(refused.errors.includes('Read-only file system'));
  t.is(fileSystem.contentOf('f').toString(), 'content');
});

test('mount - works with mount(8) where fusermount3 is missing', async (t) => {
  const fileSystem = new MemoryFileSystem();
  fileSystem.put('hello', 'hello\n');
  const driver = new KernelDriver({ fusermountCommand: '/nonexistent/fusermount3' });
  const mount = await mounted(t, fileSystem, {}, driver);
  t.is((await run('cat', `${mount.directory}/hello`)).output, 'hello\n');
  await mount.unmount({ force: false });
  t.absent(isMounted(mount.directory));
});

test('mount - refuses what cannot be mounted on', async (t) => {
  const driver = new KernelDriver();
  const directory = temporaryDirectory(t);
  const attempt = (path: string, sourceName = 'memory') =>
    driver.mount(new MemoryFileSystem(), {
      directory: path,
      sourceName,
      subtype: 'shoal-test',
      allowOther: false,
      onNotice: () => undefined,
      onEnd: () => undefined,
    });
  const file = join(directory, 'file');
  writeFileSync(file, '');
  const refusal = async (path: string, source?: string) => {
    try {
      await (await attempt(path, source)).unmount({ force: true });
    } catch (error) {
      return error as Error;
    }
    return null;
  };
  const missing = await refusal(join(directory, 'missing'));
  t.ok(missing instanceof MountPointError && missing.message.includes('no such directory'));
  const onFile = await refusal(file);
  t.ok(onFile instanceof MountPointError && onFile.message.includes('not a directory'));
  const full = await refusal(directory);
  t.ok(full instanceof MountPointError && full.message.includes('not empty'));
  t.ok((await refusal('relative')) instanceof MountPointError);
  rmSync(file);
  t.ok((await refusal(directory, 'a,suid')) instanceof MountError);
  t.ok((await refusal(directory, 'a\n')) instanceof MountError);
  await mounted(t, new MemoryFileSystem(), { directory });
  const twice = await refusal(directory);
  t.ok(twice instanceof MountPointError && twice.message.includes('mounted there'));
});

test('interrupt - a program that waits for an answer ends at once on SIGINT', async (t) => {
  const fileSystem = new MemoryFileSystem();
  fileSystem.put('hang-direct', 'never');
  fileSystem.put('other', 'other\n');
  const mount = await mounted(t, fileSystem);
  const cat = start('cat', [`${mount.directory}/hang-direct`]);
  await fileSystem.whenHanging();
  t.is(mount.statistics().inflightRequests, 1);
  t.is((await run('cat', `${mount.directory}/other`)).output, 'other\n', 'others go on');
  cat.child.kill('SIGINT');
  t.is((await cat.outcome).signal, 'SIGINT');
  t.is(fileSystem.interruptedReads, 1, 'the file system was told');
  t.is(mount.statistics().inflightRequests, 0);
  t.is(mount.statistics().requestsByOperation.interrupt, 1);
});

test('interrupt - a signal that does not ask a program to end fails no call', async (t) => {
  const fileSystem = new MemoryFileSystem();
  fileSystem.put('hang-direct', 'never');
  const mount = await mounted(t, fileSystem);
  // It prints how far it is on SIGUSR1, ends by itself on SIGINT, and reads again when a read was interrupted.
  const dd = start('dd', [`if=${mount.directory}/hang-direct`, 'of=/dev/null']);
  await fileSystem.whenHanging();
  dd.child.kill('SIGUSR1');
  while (mount.statistics().requestsByOperation.interrupt === undefined) await delay(5);
  t.is(mount.statistics().inflightRequests, 1, 'the read goes on');
  dd.child.kill('SIGINT');
  await dd.outcome;
  t.is(fileSystem.interruptedReads, 1, 'only by the signal that asked to end');
  t.is(mount.statistics().requestsByOperation.read, 1);
});

test('interrupt - a program that waits for the page cache ends at once on SIGINT', async (t) => {
  const fileSystem = new MemoryFileSystem();
  fileSystem.put('hang', 'never');
  const mount = await mounted(t, fileSystem);
  const cat = start('cat', [`${mount.directory}/hang`]);
  await fileSystem.whenHanging();
  cat.child.kill('SIGINT');
  t.is((await cat.outcome).signal, 'SIGINT');
  await mount.unmount({ force: false });
  t.is(fileSystem.interruptedReads, 1, 'the end of the mount interrupts what is left');
});

test('notify - content, attributes and names that changed are seen', async (t) => {
  const fileSystem = new MemoryFileSystem();
  const ino = fileSystem.put('f', 'before');
  fileSystem.put('gone', '');
  const mount = await mounted(t, fileSystem);
  const cat = async () => (await run('cat', `${mount.directory}/f`)).output;
  t.is(await cat(), 'before');
  fileSystem.put('f', 'after!');
  t.is(await cat(), 'before', 'the kernel has it cached');
  await fileSystem.kernel?.invalidateInode(ino, 0, 0);
  t.is(await cat(), 'after!');
  fileSystem.put('f', 'longer than before');
  await fileSystem.kernel?.invalidateInode(ino, 0, 0);
  t.is(await cat(), 'longer than before');

  t.is((await run('cat', `${mount.directory}/new`)).code, 1);
  fileSystem.put('new', 'new');
  t.is((await run('cat', `${mount.directory}/new`)).code, 1, 'the kernel has it cached');
  await fileSystem.kernel?.invalidateEntry(1, 'new');
  t.is((await run('cat', `${mount.directory}/new`)).output, 'new');

  t.is((await run('stat', `${mount.directory}/gone`)).code, 0);
  const gone = fileSystem.attributesOf('gone').ino;
  fileSystem.remove('gone');
  t.is((await run('stat', `${mount.directory}/gone`)).code, 0, 'the kernel has it cached');
  await fileSystem.kernel?.deleteEntry(1, gone, 'gone');
  t.is((await run('stat', `${mount.directory}/gone`)).code, 1);
  await fileSystem.kernel?.invalidateInode(4711, 0, 0);
  t.pass('an inode the kernel does not know is no error');
});

test('notify - about a file whose read waits for our answer is held, others are not', async (t) => {
  const fileSystem = new MemoryFileSystem();
  const ino = fileSystem.put('hang', 'x'.repeat(4096));
  const otherIno = fileSystem.put('other', 'before');
  const mount = await mounted(t, fileSystem);
  const cat = start('cat', [`${mount.directory}/hang`]);
  await fileSystem.whenHanging();
  let taken = false;
  const notified = fileSystem.kernel?.invalidateInode(ino, 0, 0).then(() => {
    taken = true;
  });
  t.is((await run('cat', `${mount.directory}/other`)).output, 'before');
  fileSystem.put('other', 'after!');
  await fileSystem.kernel?.invalidateInode(otherIno, 0, 0);
  t.is((await run('cat', `${mount.directory}/other`)).output, 'after!');
  t.absent(taken, 'held');
  cat.child.kill('SIGKILL');
  await cat.outcome;
  await mount.unmount({ force: false });
  await notified;
  t.ok(taken, 'done with at the end of the mount');
});

/** Notifies from within a read, before it is outstanding: that waits in the kernel for the page that is being read. */
class Overtaking extends MemoryFileSystem {
  notified: Promise<void> | undefined;
  override read(...args: Parameters<MemoryFileSystem['read']>) {
    this.notified ??= this.kernel?.invalidateInode(args[0], 0, 0);
    return super.read(...args);
  }
}

test('notify - one that the kernel cannot take yet does not stop an unmount', async (t) => {
  const fileSystem = new Overtaking();
  fileSystem.put('hang', 'x'.repeat(4096));
  const mount = await mounted(t, fileSystem);
  const cat = start('cat', [`${mount.directory}/hang`]);
  await fileSystem.whenHanging();
  cat.child.kill('SIGKILL');
  await cat.outcome;
  await mount.unmount({ force: false });
  await fileSystem.notified;
  t.is(fileSystem.interruptedReads, 1);
  t.absent(isMounted(mount.directory));
});

test('notify - for one that the kernel cannot take yet a refused unmount interrupts what it waits for only', async (t) => {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  let ask: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  class Slow extends Overtaking {
    override lookup(...[parent, name]: Parameters<MemoryFileSystem['lookup']>) {
      const answer = super.lookup(parent, name);
      if (name !== 'slow') return answer;
      ask();
      return opened.then(() => answer);
    }
  }
  const fileSystem = new Slow();
  fileSystem.put('hang', 'x'.repeat(4096));
  fileSystem.put('slow', '');
  const mount = await mounted(t, fileSystem);
  const cat = start('cat', [`${mount.directory}/hang`]);
  await fileSystem.whenHanging();
  const stat = start('stat', ['-c', '%s', `${mount.directory}/slow`]);
  await asked;
  cat.child.kill('SIGKILL');
  await cat.outcome;
  await t.exception(mount.unmount({ force: false }), MountBusyError);
  await fileSystem.notified;
  t.is(fileSystem.interruptedReads, 1, 'the kernel could take it');
  open();
  const { code, output } = await stat.outcome;
  t.is(code, 0, 'the other call goes on');
  t.is(output, '0\n');
});

test('notify - one that the kernel cannot take does not stop a forced unmount, whatever ignores an interrupt', async (t) => {
  class Deaf extends Overtaking {
    override read(...args: Parameters<MemoryFileSystem['read']>) {
      void super.read(...args);
      return new Promise<never>(() => undefined);
    }
  }
  const fileSystem = new Deaf();
  fileSystem.put('hang-not', 'x'.repeat(4096));
  const mount = await mounted(t, fileSystem);
  const cat = start('cat', [`${mount.directory}/hang-not`]);
  while (fileSystem.notified === undefined) await delay(5);
  await mount.unmount({ force: true });
  await fileSystem.notified;
  t.absent(isMounted(mount.directory));
  await cat.outcome;
});

test('unmount - while in use says by whom, and goes on; by force it ends', async (t) => {
  const fileSystem = new MemoryFileSystem({ wantsWritebackCache: true });
  fileSystem.put('f', 'f\n');
  let ends = 0;
  const mount = await mounted(t, fileSystem, { onEnd: () => ends++ });
  const user = start('sh', ['-c', `cd '${mount.directory}'; exec 5< f; echo ready; read x`]);
  await new Promise((resolve) => user.child.stdout?.once('data', resolve));
  let busy: unknown;
  try {
    await mount.unmount({ force: false });
  } catch (error) {
    busy = error;
  }
  t.ok(busy instanceof MountBusyError);
  const holder = (busy as MountBusyError).processes.find(({ pid }) => pid === user.child.pid);
  t.is(holder?.command, 'sh');
  t.is(holder?.what, "working directory, open file 'f'");
  t.ok((busy as MountBusyError).message.includes(`pid ${user.child.pid}`));
  t.is((await run('cat', `${mount.directory}/f`)).output, 'f\n', 'still mounted');
  await mount.unmount({ force: true });
  t.absent(isMounted(mount.directory));
  t.is(fileSystem.stoppedCalls, 1);
  t.is(ends, 0, 'no surprise');
  user.child.stdin?.end();
  await user.outcome;
});

test('unmount - by somebody else is reported', async (t) => {
  const fileSystem = new MemoryFileSystem();
  let report: (error: Error | null) => void = () => undefined;
  const reported = new Promise<Error | null>((resolve) => {
    report = resolve;
  });
  const mount = await mounted(t, fileSystem, { onEnd: report });
  t.is((await run('umount', mount.directory)).code, 0);
  t.is(await reported, null);
  t.is(fileSystem.stoppedCalls, 1);
  await mount.unmount({ force: false });
  t.pass('unmounting once more is no error');
});

/** Asks for the status of so many names at once, and prints how many there are. */
const MANY_CALLS = `
import os, sys, threading
found = []
threading.stack_size(65536)
def look(name):
    try: found.append(os.stat(name))
    except FileNotFoundError: pass
threads = [threading.Thread(target=look, args=(f'{sys.argv[1]}/slow-{i}',)) for i in range(int(sys.argv[2]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found))
`;

test('requests - with too many unanswered none is taken, and all are answered in the end', async (t) => {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  class Slow extends MemoryFileSystem {
    override lookup(...[parent, name]: Parameters<MemoryFileSystem['lookup']>) {
      const answer = super.lookup(parent, name);
      return name.startsWith('slow') ? opened.then(() => answer) : answer;
    }
  }
  const fileSystem = new Slow();
  const calls = mountLimits.inflight_requests_max + 200;
  for (let i = 0; i < calls; i++) fileSystem.put(`slow-${i}`, '');
  const mount = await mounted(t, fileSystem);
  const callers = start('python3', ['-c', MANY_CALLS, mount.directory, String(calls)]);
  const inflight = () => mount.statistics().inflightRequests;
  while (inflight() < mountLimits.inflight_requests_max) await delay(5);
  await delay(50);
  t.is(inflight(), mountLimits.inflight_requests_max);
  open();
  t.is((await callers.outcome).output, `${calls}\n`);
  t.is(inflight(), 0);
});

test('requests - where nothing is written, many reads that wait keep nobody from reading something else', async (t) => {
  const waiting = 50;
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const cold = new Set<number>();
  let arrived = 0;
  class Cold extends MemoryFileSystem {
    override read(...args: Parameters<MemoryFileSystem['read']>) {
      const answer = super.read(...args);
      if (!cold.has(args[0])) return answer;
      arrived++;
      return opened.then(() => answer);
    }
  }
  const fileSystem = new Cold({ readOnly: true });
  // So long that the kernel reads ahead: it asks for less in the foreground, where it waits for nobody.
  const text = 'x'.repeat(1 << 20);
  for (let i = 0; i < waiting; i++) cold.add(fileSystem.put(`cold-${i}`, text));
  fileSystem.put('local', text);
  const mount = await mounted(t, fileSystem);
  // Whoever reads may be gone, the request stays.
  const readers = [...cold].map((_, i) => start('cat', [join(mount.directory, `cold-${i}`)]));
  while (arrived < waiting) await delay(5);
  t.ok((await run('cat', join(mount.directory, 'local'))).output === text);
  open();
  for (const { outcome } of readers) t.ok((await outcome).output === text);
});

import test from 'brittle';
import { Notifier } from '../../mount/kernel/notifier.js';
import { mountLimits } from '../../mount/limits.js';

/** A kernel that takes a message when the test says so. */
function slowKernel() {
  const writing: { message: Buffer; done: (errno: number) => void }[] = [];
  return {
    writing,
    write: (message: Buffer, done: (errno: number) => void) => {
      writing.push({ message, done });
    },
    take: (errno = 0) => writing.shift()?.done(errno),
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('notifier - messages are those of the protocol', async (t) => {
  const messages: Buffer[] = [];
  const notifier = new Notifier(
    (message, done) => {
      messages.push(message);
      done(0);
    },
    () => null,
  );
  await notifier.invalidateInode(2 ** 40, 4096, 8192);
  await notifier.invalidateAttributes(7);
  await notifier.invalidateEntry(1, 'n\xff');
  await notifier.deleteEntry(1, 7, 'gone');
  const [inode, attributes, entry, deleted] = messages;
  t.is(
    inode?.toString('hex'),
    `28000000020000000000000000000000${'00000000000100000010000000000000'}0020000000000000`,
  );
  t.is(attributes?.readBigInt64LE(24), -1n);
  t.is(entry?.readInt32LE(4), 3);
  t.is(entry?.readUInt32LE(24), 2);
  t.is(entry?.subarray(32).toString('latin1'), 'n\xff\0');
  t.is(entry?.readUInt32LE(0), entry?.length);
  t.is(deleted?.readInt32LE(4), 6);
  t.is(deleted?.readBigUInt64LE(24), 7n);
  t.is(deleted?.subarray(40).toString(), 'gone\0');
});

test('notifier - one at a time for an inode, a few at once for several', async (t) => {
  const kernel = slowKernel();
  const notifier = new Notifier(kernel.write, () => null);
  const all = [];
  for (const ino of [1, 1, 2, 3, 4, 5]) all.push(notifier.invalidateInode(ino, 0, 0));
  await turn();
  const inos = () => kernel.writing.map(({ message }) => Number(message.readBigUInt64LE(16)));
  t.alike(inos(), [1, 2, 3, 4]);
  t.is(inos().length, mountLimits.notifications_writing_max);
  kernel.take();
  t.alike(inos(), [2, 3, 4, 5]);
  kernel.take();
  t.alike(inos(), [3, 4, 5, 1]);
  while (kernel.writing.length > 0) kernel.take();
  await Promise.all(all);
});

test('notifier - what the kernel does not know is no error, other refusals are', async (t) => {
  const kernel = slowKernel();
  const notifier = new Notifier(kernel.write, () => null);
  const unknown = notifier.invalidateInode(1, 0, 0);
  await turn();
  kernel.take(2);
  await unknown;
  const refused = notifier.invalidateInode(1, 0, 0);
  await turn();
  kernel.take(22);
  await t.exception(refused, /error 22/);
});

test('notifier - waits for requests on its inode, not for later ones for ever', async (t) => {
  const kernel = slowKernel();
  let oldest: number | null = performance.now();
  const notifier = new Notifier(kernel.write, (...inodes) => (inodes.includes(1) ? oldest : null));
  const held = notifier.invalidateInode(1, 0, 0);
  const attributes = notifier.invalidateAttributes(2);
  await turn();
  t.is(kernel.writing.length, 1, 'only the other');
  kernel.take();
  await attributes;
  notifier.requestsAnswered();
  t.is(kernel.writing.length, 0, 'still waiting');
  oldest = performance.now() + 2 * mountLimits.notification_hold_ms_max;
  notifier.requestsAnswered();
  t.is(kernel.writing.length, 1, 'a request that came long after it');
  kernel.take();
  await held;
});

test('notifier - attributes do not wait behind what is held back', async (t) => {
  const kernel = slowKernel();
  let oldest: number | null = performance.now();
  const notifier = new Notifier(kernel.write, () => oldest);
  const pages = notifier.invalidateInode(1, 0, 0);
  const attributes = notifier.invalidateAttributes(1);
  await turn();
  t.is(kernel.writing.length, 1);
  t.is(kernel.writing[0]?.message.readBigInt64LE(24), -1n, 'that of the attributes');
  kernel.take();
  await attributes;
  oldest = null;
  notifier.requestsAnswered();
  kernel.take();
  await pages;
});

test('notifier - its queue is bounded, and the end wakes everybody', async (t) => {
  const kernel = slowKernel();
  const notifier = new Notifier(kernel.write, () => null);
  let done = 0;
  const all = [];
  for (let index = 0; index < mountLimits.notifications_queued_max + 10; index++) {
    all.push(
      notifier.invalidateInode(1, index, 1).then(() => {
        done++;
      }),
    );
  }
  await turn();
  kernel.take();
  await turn();
  t.is(done, 1);
  const end = notifier.end();
  await turn();
  t.is(kernel.writing.length, 1);
  kernel.take(107);
  await end;
  await Promise.all(all);
  t.is(done, all.length);
  await notifier.invalidateInode(1, 0, 0);
  t.is(kernel.writing.length, 0, 'nothing is written after the end');
});

import test from 'brittle';
import { LimitError, NotFoundError, StoreError, UsageError } from '../../src/errors.js';
import { type BookStore, formatDriveId, HostBook } from '../../src/hosts/host-book.js';
import { sampleRequest } from './support/sample-messages.js';

class MemoryStore implements BookStore {
  value: Record<string, unknown> | null = null;
  async load() {
    return this.value;
  }
  async save(value: Record<string, unknown>) {
    this.value = JSON.parse(JSON.stringify(value));
  }
}

const drive = {
  planPublicKey: Buffer.alloc(32, 9),
  keys: sampleRequest.keys,
  addedMs: 5,
  ownerHost: null,
};
const planKey = drive.keys.plan;
const other = Buffer.alloc(32, 77);

test('host book - remembers who it is and whom it lets in', async (t) => {
  const store = new MemoryStore();
  t.is(await HostBook.open(store, null), null);
  const book = (await HostBook.open(store, 1000)) as HostBook;
  const { token, hostId } = await book.invite(false);
  t.alike(hostId, book.id);
  t.alike((await book.invite(false)).token, token, 'the same while it is not used');
  t.ok(book.isInvited(token, planKey));
  t.absent(book.isInvited(Buffer.alloc(16), planKey));
  await book.add(drive, token);
  t.ok(book.isInvited(token, planKey), 'its drive again');
  t.absent(book.isInvited(token, other), 'and no other one');
  t.unlike((await book.invite(false)).token, token);
  await book.setOwnerHost(planKey, other);
  await book.allow(other);

  const again = (await HostBook.open(store, null)) as HostBook;
  t.alike(again.id, book.id);
  t.is(again.capacityBytes, 1000);
  t.alike(again.drives, [{ ...drive, ownerHost: other }]);
  t.alike(again.allowed, [other]);
  t.absent(again.isInvited(token, other));
  await again.deny(planKey);
  t.alike([again.drives, again.denied, again.removing], [[], [planKey], [drive.keys]]);
  await again.allow(planKey);
  t.alike([again.denied, again.allowed.length], [[], 2]);
});

test('host book - a drive is found by its id or the beginning of it', async (t) => {
  const book = (await HostBook.open(new MemoryStore(), 1000)) as HostBook;
  await book.add(drive, Buffer.alloc(16));
  const id = formatDriveId(planKey);
  t.alike(book.find(id), planKey);
  t.alike(book.find(id.slice(0, 6)), planKey);
  t.alike(book.find(formatDriveId(other)), other, 'a whole id need not be known');
  await t.exception(async () => book.find(formatDriveId(other).slice(0, 6)), NotFoundError);
  await t.exception(async () => book.find('UPPER'), UsageError);
});

test('host book - a damaged one is refused, and lists are bounded', async (t) => {
  const store = new MemoryStore();
  const book = (await HostBook.open(store, 1000)) as HostBook;
  const sound = store.value as Record<string, unknown>;
  for (const change of [{ seed: 'x' }, { drives: [1] }, { invites: null }, { removing: [1] }]) {
    store.value = { ...sound, ...change };
    await t.exception(HostBook.open(store, null), StoreError);
  }
  store.value = sound;
  await t.exception(async () => {
    for (let i = 0; i < 1000; i++) await book.invite(true);
  }, LimitError);
});

test('host book - what is to be deleted is remembered until it is', async (t) => {
  const store = new MemoryStore();
  const book = (await HostBook.open(store, 1000)) as HostBook;
  const { removing, ...before } = store.value as Record<string, unknown>;
  t.alike(removing, []);
  store.value = before;
  t.alike((await HostBook.open(store, null))?.removing, [], 'a book of before opens');
  await book.add(drive, Buffer.alloc(16));
  await book.leave();
  await book.forget(planKey);
  await book.forget(planKey);
  const again = (await HostBook.open(store, null)) as HostBook;
  t.alike([again.drives, again.removing, again.hasLeft], [[], [drive.keys], false]);
  await again.removed(planKey);
  t.ok((await HostBook.open(store, null))?.hasLeft);
});

test('host book - a host that has left can begin anew, with the same identity', async (t) => {
  const store = new MemoryStore();
  const book = (await HostBook.open(store, 1000)) as HostBook;
  await book.leave();
  t.ok(((await HostBook.open(store, null)) as HostBook).isLeaving);
  const anew = (await HostBook.open(store, 1000)) as HostBook;
  t.absent(anew.isLeaving);
  t.alike(anew.id, book.id);
});

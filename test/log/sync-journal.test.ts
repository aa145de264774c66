/** The file in which fsync notes what is not committed yet. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'brittle';
import { limits } from '../../src/limits.js';
import { readSyncJournal, SyncJournal } from '../../src/log/sync-journal.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const KEY = Buffer.alloc(32, 5);
const READY_MS_MAX = 10_000;

async function ready(journal: SyncJournal): Promise<SyncJournal> {
  const deadlineMs = performance.now() + READY_MS_MAX;
  while (!journal.isReady && performance.now() < deadlineMs) await sleep(5);
  return journal;
}

test('sync journal: entries come back in order, of any size up to the room', async (t) => {
  const path = join(temporaryFolder(t, 'journal'), 'journal');
  t.alike(await readSyncJournal(path, KEY), [], 'none without a file');
  const journal = new SyncJournal(path, KEY);
  t.absent(journal.isReady, 'the file is made when it is asked for');
  await ready(journal);
  t.is(statSync(path).size, limits.sync_journal_bytes, 'and never grows');
  t.is(statSync(path).mode & 0o777, 0o600);
  const entries = [1, 4000, 4096, 300_000].map((bytes, index) => Buffer.alloc(bytes, index + 1));
  for (const entry of entries) await journal.append(entry);
  entries.push(Buffer.alloc(journal.room, 9));
  await journal.append(entries[4] as Buffer);
  t.ok(journal.room <= 0, 'it is full');
  await t.exception.all(journal.append(Buffer.of(1)), /no room/);
  await journal.close();
  t.alike(await readSyncJournal(path, KEY), entries);
  t.alike(await readSyncJournal(path, Buffer.alloc(32, 6)), [], 'nothing with another key');
});

test('sync journal: where there was no room for it, it is tried again later', async (t) => {
  const folder = join(temporaryFolder(t, 'journal'), 'later');
  const { sync_journal_retry_ms } = limits;
  Object.assign(limits, { sync_journal_retry_ms: 20 });
  t.teardown(() => Object.assign(limits, { sync_journal_retry_ms }));
  const journal = new SyncJournal(join(folder, 'journal'), KEY);
  for (let i = 0; i < 10; i++) {
    t.absent(journal.isReady);
    await sleep(10);
  }
  mkdirSync(folder);
  await ready(journal);
  t.ok(journal.isReady);
  await journal.close();
});

test('sync journal: a restart begins anew, and older entries follow the new ones', async (t) => {
  const path = join(temporaryFolder(t, 'journal'), 'journal');
  const journal = await ready(new SyncJournal(path, KEY));
  for (const text of ['one', 'two', 'three']) await journal.append(Buffer.from(text));
  journal.restart();
  await journal.append(Buffer.from('four'));
  await journal.close();
  const texts = (await readSyncJournal(path, KEY)).map(String);
  t.alike(texts, ['four', 'two', 'three']);
});

test('sync journal: reading ends at what is torn, moved or cut', async (t) => {
  const path = join(temporaryFolder(t, 'journal'), 'journal');
  const journal = await ready(new SyncJournal(path, KEY));
  for (const text of ['one', 'two', 'three']) await journal.append(Buffer.from(text));
  await journal.close();
  const whole = readFileSync(path);
  const readAs = async (change: (content: Buffer) => Buffer): Promise<string[]> => {
    writeFileSync(path, change(Buffer.from(whole)));
    return (await readSyncJournal(path, KEY)).map(String);
  };
  const torn = (content: Buffer): Buffer => {
    content[4096 + 30] = (content[4096 + 30] as number) ^ 1;
    return content;
  };
  t.alike(await readAs(torn), ['one'], 'a changed byte');
  const moved = (content: Buffer): Buffer => {
    content.copy(content, 4096, 8192, 12_288);
    return content;
  };
  t.alike(await readAs(moved), ['one'], 'an entry at another place');
  t.alike(await readAs((content) => content.subarray(0, 8192)), ['one', 'two'], 'a short file');
  t.alike(await readAs(() => Buffer.alloc(10)), [], 'a very short one');
  const huge = (content: Buffer): Buffer => {
    content.writeUInt32LE(0xffffffff, 0);
    return content;
  };
  t.alike(await readAs(huge), [], 'a length beyond the file');
});

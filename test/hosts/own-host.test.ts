/** What a drive's owner asks of the host of the same home, which may run. */
import { statSync } from 'node:fs';
import test from 'brittle';
import { Home } from '../../src/drive/home.js';
import { bookStore, hostPaths, makeHostFolder } from '../../src/drive/host-files.js';
import { ownHostKeys } from '../../src/drive/own-host.js';
import { HostBook } from '../../src/hosts/host-book.js';
import { temporaryFolder } from '../support/temporary-folder.js';

test('own host - who it is, and nothing of it is written', async (t) => {
  const home = new Home(temporaryFolder(t, 'home'));
  const paths = hostPaths(home, null);
  t.is(await ownHostKeys(home), null, 'there is none');
  await makeHostFolder(paths);
  const book = (await HostBook.open(bookStore(paths), 1000)) as HostBook;
  const { ino } = statSync(paths.book);
  t.alike((await ownHostKeys(home))?.publicKey, book.id);
  t.is(statSync(paths.book).ino, ino, 'it is the file that the host wrote');

  await book.leave();
  t.is(await ownHostKeys(home), null, 'one that leaves gives nothing');
});

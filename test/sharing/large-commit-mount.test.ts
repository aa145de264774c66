/** A commit with too many changes to list: a reader forgets everything, and must forget all of it. */
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { test } from 'brittle';
import { eventually, SHARING_TIME, SharedDrive } from './support/shared-drive.js';

const FILES = 6000;
/** Names so long that a second's worth of them does not fit into a commit's list, however slow the machine is. */
const NAME_BYTES = 200;
const PROBED_EVERY = 60;

test('a reader - follows commits with thousands of changes', SHARING_TIME, async (t) => {
  const drive = await SharedDrive.forTest(t, { here: true });
  const { origin } = drive;
  mkdirSync(join(origin.directory, 'many'));
  mkdirSync(join(origin.directory, 'other'));
  for (const name of ['changed', 'moved', 'removed', 'kept']) {
    writeFileSync(join(origin.directory, 'other', name), `${name} before`);
  }
  await origin.commit();
  const reader = await drive.addReader();
  const seen = (name: string) => join(reader.directory, name);
  const at = (name: string) => join(origin.directory, name);

  // The kernel remembers which names there are and which there are not.
  const probed = names().filter((_, index) => index % PROBED_EVERY === 0);
  for (const name of probed) t.absent(existsSync(seen(`many/${name}`)));
  t.is(existsSync(seen('other/renamed')), false);
  t.alike(contents(seen('other')), {
    changed: 'changed before',
    kept: 'kept before',
    moved: 'moved before',
    removed: 'removed before',
  });
  t.alike(readdirSync(seen('many')), []);

  for (const [index, name] of names().entries()) {
    writeFileSync(at(`many/${name}`), `${index}`);
    // In the same commits, in a directory of which little changes.
    if (index === FILES / 2) {
      overwrite(at('other/changed'), 'changed behind');
      renameSync(at('other/moved'), at('other/renamed'));
      rmSync(at('other/removed'));
    }
  }
  await origin.commit();
  const created = await eventually(
    'all files, also under names that were not there',
    () =>
      readdirSync(seen('many')).length === FILES &&
      probed.every((name) => existsSync(seen(`many/${name}`))),
  );
  t.comment(`created: seen after ${created} ms`);
  const expected = { changed: 'changed behind', kept: 'kept before', renamed: 'moved before' };
  await eventually('the few other changes', () =>
    isDeepStrictEqual(contents(seen('other')), expected),
  );
  t.alike(contents(seen('other')), expected);
  t.absent(existsSync(seen('other/moved')));
  t.absent(existsSync(seen('other/removed')));
  t.is(readFileSync(seen(`many/${probed.at(-1)}`), 'utf8'), String(FILES - PROBED_EVERY));

  // Now it remembers all of them.
  for (const name of readdirSync(seen('many'))) lstatSync(seen(`many/${name}`));
  rmSync(at('many'), { recursive: true });
  writeFileSync(at('other/last'), 'last');
  await origin.commit();
  const removed = await eventually(
    'all files gone',
    () =>
      existsSync(seen('other/last')) &&
      !existsSync(seen('many')) &&
      !names().some((name) => existsSync(seen(`many/${name}`))),
  );
  t.comment(`removed: seen after ${removed} ms`);
  t.alike(readdirSync(seen('.')), ['other']);
  t.is(statSync(seen('.')).nlink, 3);

  mkdirSync(at('many'));
  writeFileSync(at(`many/${probed[0]}`), 'again');
  await origin.commit();
  await eventually('the directory again', () => existsSync(seen('many')));
  t.is(readFileSync(seen(`many/${probed[0]}`), 'utf8'), 'again');
  t.alike(readdirSync(seen('many')), [probed[0]]);
});

function names(): string[] {
  return Array.from({ length: FILES }, (_, i) =>
    String(i).padStart(5, '0').padEnd(NAME_BYTES, 'x'),
  );
}

function contents(directory: string): Record<string, string> {
  const found = readdirSync(directory).map((name) => [
    name,
    readFileSync(join(directory, name), 'utf8'),
  ]);
  return Object.fromEntries(found);
}

/** In place, with content of the same size. */
function overwrite(path: string, text: string): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, text, 0);
  closeSync(fd);
}

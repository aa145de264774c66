/** Every build opens the drives that earlier ones wrote. */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'brittle';
import { FORMAT_VERSION } from '../../src/tree/superblock.js';
import { command } from '../support/command.js';
import { Machine } from '../support/drive-mount.js';
import { type ListedFile, listTree } from './tree-listing.js';

const FIXTURES = fileURLToPath(new URL('../../../test/format/', import.meta.url));
const versions = readdirSync(FIXTURES).filter((name) => /^v\d+/.test(name));

test('there is a fixture of the current format', (t) => {
  t.ok(versions.includes(`v${FORMAT_VERSION}`), versions.join(', '));
});

for (const version of versions) {
  test(`format ${version}: the frozen drive opens and is what it was`, async (t) => {
    const folder = path.join(FIXTURES, version);
    const machine = Machine.forTest(t);
    mkdirSync(machine.home, { mode: 0o700 });
    const archive = path.join(folder, 'home.tar.gz');
    await command('tar', ['--extract', '--gzip', '--file', archive, '--directory', machine.home]);

    const mount = await machine.mount('fixture', ['--offline']);
    const expected = JSON.parse(
      readFileSync(path.join(folder, 'listing.json'), 'utf8'),
    ) as ListedFile[];
    t.alike(listTree(mount.directory), expected);
    const snapshot = path.join(folder, 'snapshot.json');
    if (existsSync(snapshot)) {
      const past = JSON.parse(readFileSync(snapshot, 'utf8')) as ListedFile[];
      const found = listTree(path.join(mount.directory, '.shoal/snapshots/first'));
      t.alike(withOwnNumbers(found), withOwnNumbers(past), 'the past, too');
    }

    appendFileSync(path.join(mount.directory, 'inline'), 'more\n');
    await mount.unmount();
    const again = await machine.mount('fixture', ['--offline']);
    const changed = readFileSync(path.join(again.directory, 'inline'), 'utf8');
    t.is(changed, 'a small file\nmore\n', 'and it can be changed');
    await again.unmount();
    const report = await machine.tryShoal(['check', 'fixture']);
    t.is(report.code, 0, report.stdout);
  });
}

/** With inodes numbered in the order in which they come: those of the past have other numbers in a mount. */
function withOwnNumbers(files: readonly ListedFile[]): ListedFile[] {
  const numbers = new Map<string, string>();
  return files.map((file) => {
    const inode = numbers.get(file.inode) ?? String(numbers.size);
    numbers.set(file.inode, inode);
    return { ...file, inode };
  });
}

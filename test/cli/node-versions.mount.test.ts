/** The program runs on every supported version of Node.js. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'brittle';
import { command, tryCommand } from '../support/command.js';
import { SHOAL } from '../support/drive-mount.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const MAJORS = ['20', '22', '24'];
/** Downloaded once, and kept with the other packages. */
const KEPT = fileURLToPath(new URL('../../../node_modules/.shoal-node', import.meta.url));
const DOWNLOAD_MS_MAX = 240_000;

/** The binary of a version, or null where the registry does not have it for this machine. */
async function nodeOf(major: string): Promise<string | null> {
  if (process.versions.node.split('.')[0] === major) return process.execPath;
  const folder = path.join(KEPT, major);
  const name = `node-${process.platform}-${process.arch}`;
  const binary = path.join(folder, 'node_modules', name, 'bin', 'node');
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }');
  await tryCommand('npm', ['install', '--no-save', '--ignore-scripts', `${name}@${major}`], {
    cwd: folder,
    deadlineMs: DOWNLOAD_MS_MAX,
  });
  return existsSync(binary) ? binary : null;
}

for (const major of MAJORS) {
  const node = await nodeOf(major);
  const reason = node === null ? ' (skipped: the package registry has no binary to run)' : '';
  test(`a drive on Node.js ${major}${reason}`, { skip: node === null }, async (t) => {
    if (node === null) return;
    const folder = temporaryFolder(t, 'node');
    const directory = path.join(folder, 'mount');
    mkdirSync(directory);
    const options = { env: { SHOAL_HOME: path.join(folder, 'home') }, deadlineMs: 30_000 };
    const shoal = (...args: string[]) => command(node, [SHOAL, ...args], options);
    const version = await command(node, ['--version'], options);
    t.ok(version.startsWith(`v${major}.`), version.trim());

    await shoal('create', 'notes');
    t.teardown(() => tryCommand(node, [SHOAL, 'unmount', 'notes', '--force'], options), {
      force: true,
    });
    const text = 'x'.repeat(300_000);
    await shoal('mount', 'notes', directory, '--offline');
    writeFileSync(path.join(directory, 'file'), text);
    await shoal('unmount', 'notes');
    t.absent(existsSync(path.join(directory, 'file')));
    await shoal('mount', 'notes', directory, '--offline');
    t.is(readFileSync(path.join(directory, 'file'), 'utf8'), text);
    await shoal('unmount', 'notes');
  });
}

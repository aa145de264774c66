/** `shoal ls`, with a running mount and without. What peers have to do with it is in `test/sharing`. */
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { formatError } from '../../src/cli/output.js';
import { printableName, printablePath, printableText } from '../../src/cli/printable-name.js';
import { limits } from '../../src/limits.js';
import { Machine } from '../support/drive-mount.js';
import { getxattr } from '../support/xattr.js';

const MANY = limits.list_page_names_max + 100;
const BYTES = 300_000;
const MTIME_SEC = 1_700_000_000;

interface Listed {
  version: number;
  isCut: boolean;
  problem: unknown;
  entries: { name: string; nameHex?: string; type: string; [figure: string]: unknown }[];
}

test('shoal ls', { timeout: 120_000 }, async (t) => {
  const machine = Machine.forTest(t, { here: true });
  const mount = await machine.createAndMount('drive', ['--offline']);
  const at = (...names: string[]): string => join(mount.directory, ...names);
  mkdirSync(at('docs', 'below'), { recursive: true });
  writeFileSync(at('docs', 'data'), Buffer.alloc(BYTES, 'content '), { mode: 0o640 });
  utimesSync(at('docs', 'data'), MTIME_SEC, MTIME_SEC);
  symlinkSync('../x\n', at('docs', 'link'));
  const odd = Buffer.concat([Buffer.from(at('docs')), Buffer.from([0x2f, 0xe9, 0x0a])]);
  writeFileSync(odd, 'odd');
  mkdirSync(at('many'));
  mkdirSync(at('empty'));
  for (let i = 0; i < MANY; i++) writeFileSync(at('many', `file-${i}`), `content ${i}`);
  const list = async (...options: string[]): Promise<Listed> =>
    JSON.parse(await machine.shoal('ls', 'drive', ...options, '--json')) as Listed;

  t.is(await machine.shoal('ls', 'drive'), 'docs\nempty\nmany\n', 'what was just written is there');
  t.is(await machine.shoal('ls', 'drive', 'docs'), 'below\ndata\nlink\n\\351\\n\n');
  const mounted = await list('docs', '-l');
  const [below, data, link, strange] = mounted.entries;
  t.is(mounted.problem, null);
  t.absent(mounted.isCut);
  t.is(String(mounted.version), getxattr(mount.directory, 'user.shoal.version').toString());
  t.is(below?.type, 'directory');
  t.is(below?.localBytes, null);
  t.is(data?.type, 'file');
  t.is(data?.mode, 0o100640);
  t.is(data?.mtimeSec, MTIME_SEC);
  t.is(`${data?.localBytes}/${data?.size}`, `${BYTES}/${BYTES}`);
  t.is(data?.hash, getxattr(at('docs', 'data'), 'user.shoal.hash').toString());
  t.is(data?.peers, 0);
  t.is(link?.target, '../x\n');
  t.is(strange?.nameHex, 'e90a');
  t.alike((await list('docs/link', '-l')).entries, [link], 'links are not followed');
  t.alike((await list('docs')).entries[0], { name: 'below', type: 'directory' });

  const text = await machine.shoal('ls', 'drive', 'docs', '-l');
  const [title, header, , dataLine, linkLine] = text.split('\n');
  t.is(title, `drive, version ${mounted.version}: 'docs'`);
  t.alike(header?.split(/ +/), ['mode', 'size', 'modified', 'local', 'peers', 'hash', 'name']);
  t.ok(/^-rw-r----- +300000 +2023-11-1\d /.test(dataLine ?? ''), dataLine);
  t.ok(dataLine?.includes(` ${BYTES}/${BYTES}  0  `), dataLine);
  t.ok(/^lrwx.* link -> \.\.\/x\\n$/.test(linkLine ?? ''), linkLine);

  const many = Array.from({ length: MANY }, (_, i) => `file-${i}`).sort();
  t.alike(
    (await list('many')).entries.map(({ name }) => name),
    many,
    'more than one answer of the mount',
  );
  t.ok((await machine.shoal('ls', 'drive', 'empty', '-l')).includes('is empty'));
  for (const missing of ['nothing', 'docs/data/below']) {
    t.is((await machine.tryShoal(['ls', 'drive', missing])).code, exitCodes.notFound, missing);
  }

  await mount.unmount();
  const unmounted = await list('docs', '-l');
  const withoutPeers = mounted.entries.map((each) =>
    'peers' in each ? { ...each, peers: null } : each,
  );
  t.alike(unmounted.entries, withoutPeers, 'the same without a mount, but for peers');
  t.ok((await machine.shoal('ls', 'drive', 'docs', '-l')).includes(` ${BYTES}/${BYTES}  -  `));
});

test('names in a form that a terminal can show', (t) => {
  const shown = (name: string): string => printableName(Buffer.from(name));
  t.is(shown('plain name.txt'), 'plain name.txt');
  t.is(shown('für 家 👩‍🚀'), 'für 家 👩‍🚀');
  t.is(shown('a\nb\tc\\d'), 'a\\nb\\tc\\\\d');
  t.is(shown('\x1b[31m'), '\\033[31m');
  t.is(shown('\u202e'), '\\342\\200\\256', 'turns the direction of text');
  t.is(printableName(Buffer.from([0x61, 0xff, 0xc3])), 'a\\377\\303');
  t.is(printablePath('a\\b/家 👩‍🚀'), 'a\\b/家 👩‍🚀');
  t.is(printablePath('a\n"\x1b[2J'), '"a\\n\\"\\u001b[2J"');
  t.is(printablePath('\x9b2J\u202e'), '"\\u009b2J\\u202e"', 'what JSON does not escape');
  t.is(printableText("removed 'a\\b\n\x9b2J'"), "removed 'a\\b\\n\\302\\2332J'");
  t.is(formatError(new Error('a\n b\x1b[2J')), 'shoal: a b\\033[2J');
});

/** A drive with compressed data on a machine that cannot read it: the mount says so, with an exit code of its own. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'brittle';
import { tryCommand } from '../support/command.js';
import { Machine, SHOAL } from '../support/drive-mount.js';

/** Six commands, one after the other, on a busy machine. */
const TIME = { timeout: 120_000 } as const;

/** Before the program starts: no library can be loaded as libzstd, and Node.js has none itself. */
const WITHOUT_ZSTD = `
  import { syncBuiltinESMExports } from 'node:module';
  import zlib from 'node:zlib';
  import koffi from ${JSON.stringify(import.meta.resolve('koffi'))};
  const load = koffi.load;
  koffi.load = (name, ...rest) => {
    if (String(name).includes('zstd')) throw new Error('no such library');
    return load.call(koffi, name, ...rest);
  };
  for (const name of Object.keys(zlib)) if (/zstd/i.test(name)) delete zlib[name];
  syncBuiltinESMExports();
`;

test(
  'mount - a drive with compression, where zstd is missing, is refused with 10',
  TIME,
  async (t) => {
    const machine = Machine.forTest(t);
    await machine.shoal('create', 'packed', '--compression', 'zstd');
    await machine.shoal('create', 'plain', '--compression', 'none');
    const preload = path.join(machine.folder, 'without-zstd.mjs');
    writeFileSync(preload, WITHOUT_ZSTD);
    const mountWithout = (drive: string) => {
      const directory = path.join(machine.folder, drive);
      mkdirSync(directory, { recursive: true });
      const args = ['--import', preload, SHOAL, 'mount', drive, directory, '--offline'];
      return tryCommand(process.execPath, args, { env: { SHOAL_HOME: machine.home } });
    };
    const refused = await mountWithout('packed');
    t.is(refused.code, 10, refused.stderr);
    t.ok(refused.stderr.includes('install libzstd'), refused.stderr.trim());
    const plain = await mountWithout('plain');
    t.is(plain.code, 0, plain.stderr);
    await machine.shoal('unmount', 'plain');

    const mount = await machine.mount('packed', ['--offline']);
    const file = path.join(mount.directory, 'file');
    writeFileSync(file, 'a'.repeat(100_000));
    t.is(readFileSync(file).length, 100_000, 'where it is not missing it is mounted');
    await mount.unmount();
  },
);

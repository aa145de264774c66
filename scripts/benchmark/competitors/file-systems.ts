/** Mounted file systems to compare with, set up as their manuals say, with what makes them fast and loses nothing. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { command } from '../../../test/support/command.js';
import { Machine } from '../../../test/support/drive-mount.js';
import { type Competitor, makeFolders, missingProgram, mountedSubject } from './competitor.js';

const PASSWORD = 'benchmark-password\n';
const SETUP_MS_MAX = 120_000;

export const plain: Competitor = {
  name: 'plain',
  what: 'the disk itself',
  encrypts: false,
  missing: () => null,
  async start(folder) {
    mkdirSync(folder, { recursive: true });
    return { directory: folder, pid: null, backing: folder, close: async () => undefined };
  },
};

export const shoal: Competitor = {
  name: 'shoal',
  what: 'this checkout, offline',
  encrypts: true,
  missing: () => null,
  async start(folder) {
    mkdirSync(folder, { recursive: true });
    const machine = new Machine({ parent: folder });
    try {
      const mount = await machine.createAndMount('bench', ['--offline']);
      return {
        directory: mount.directory,
        pid: mount.pid,
        backing: path.join(machine.home, 'drives', 'bench', 'store'),
        async metadataLogBytes() {
          const usage = JSON.parse(await machine.shoal('du', 'bench', '--json')) as {
            treeLogBytes: number;
          };
          return usage.treeLogBytes;
        },
        close: () => machine.close(),
      };
    } catch (error) {
      await machine.close();
      throw error;
    }
  },
};

export const bindfs: Competitor = {
  name: 'bindfs',
  what: 'passes everything on, in C',
  encrypts: false,
  missing: () => missingProgram('bindfs'),
  async start(folder) {
    const folders = makeFolders(folder);
    await command('bindfs', [folders.backing, folders.directory]);
    return mountedSubject('bindfs', folders);
  },
};

export const gocryptfs: Competitor = {
  name: 'gocryptfs',
  what: 'encrypts each file',
  encrypts: true,
  missing: () => missingProgram('gocryptfs'),
  async start(folder) {
    const folders = makeFolders(folder);
    const password = path.join(folder, 'password');
    writeFileSync(password, PASSWORD, { mode: 0o600 });
    const key = ['-q', '-passfile', password];
    await command('gocryptfs', ['-init', ...key, folders.backing], { deadlineMs: SETUP_MS_MAX });
    await command('gocryptfs', [...key, folders.backing, folders.directory], {
      deadlineMs: SETUP_MS_MAX,
    });
    return mountedSubject('gocryptfs', folders);
  },
};

/** Data is written to its cache, from where it is encrypted a second later; a file in the cache is read from there. */
export const rclone: Competitor = {
  name: 'rclone',
  what: 'crypt remote, full cache',
  encrypts: true,
  missing: () => missingProgram('rclone'),
  async start(folder) {
    const folders = makeFolders(folder);
    const password = (await command('rclone', ['obscure', PASSWORD.trim()])).trim();
    const config = path.join(folder, 'rclone.conf');
    writeFileSync(
      config,
      `[bench]\ntype = crypt\nremote = ${path.join(folders.backing, 'encrypted')}\npassword = ${password}\n`,
    );
    mkdirSync(path.join(folders.backing, 'encrypted'));
    await command('rclone', [
      'mount',
      '--daemon',
      ...['--config', config],
      ...['--cache-dir', path.join(folders.backing, 'cache')],
      ...['--vfs-cache-mode', 'full'],
      ...['--vfs-write-back', '1s'],
      // Nobody else changes it.
      ...['--dir-cache-time', '1h'],
      ...['--attr-timeout', '1h'],
      'bench:',
      folders.directory,
    ]);
    return mountedSubject('rclone', folders);
  },
};

export const cryfs: Competitor = {
  name: 'cryfs',
  what: 'encrypted blocks',
  encrypts: true,
  missing: () => missingProgram('cryfs'),
  async start(folder) {
    const folders = makeFolders(folder);
    await command('cryfs', [folders.backing, folders.directory], {
      input: PASSWORD,
      env: {
        CRYFS_FRONTEND: 'noninteractive',
        CRYFS_NO_UPDATE_CHECK: 'true',
        CRYFS_LOCAL_STATE_DIR: path.join(folder, 'state'),
      },
      deadlineMs: SETUP_MS_MAX,
    });
    return mountedSubject('cryfs', folders);
  },
};

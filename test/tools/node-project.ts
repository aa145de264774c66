/** A Node project that is installed in the directory: without a network, from packages that npm made itself. */
import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { command } from '../support/command.js';
import { dropCaches } from '../support/drop-caches.js';
import type { DirectoryCheck } from '../support/run-behaviours.js';

const MANY_FILES = 300;

function writePackage(folder: string, manifest: object, files: Record<string, string>): void {
  const all = { ...files, 'package.json': `${JSON.stringify(manifest, null, 2)}\n` };
  for (const [name, content] of Object.entries(all)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), content);
  }
}

/** Packages of a project: one of many files, one with a command, a script and a package of its own inside, one linked. */
function writePackages(directory: string): void {
  const inner = (version: string) => ({ name: 'inner', version, main: 'index.js' });
  const innerFiles = (version: string) => ({ 'index.js': `module.exports = '${version}';\n` });
  writePackage(path.join(directory, 'inner'), inner('2.0.0'), innerFiles('2.0.0'));
  writePackage(
    path.join(directory, 'tool'),
    {
      name: 'tool',
      version: '1.0.0',
      bin: { tool: 'bin/tool.js' },
      scripts: { postinstall: 'node build.js' },
      dependencies: { inner: '1.0.0' },
      bundleDependencies: ['inner'],
    },
    {
      'bin/tool.js': "#!/usr/bin/env node\nconsole.log('tool with inner', require('inner'));\n",
      'build.js': "require('node:fs').writeFileSync('built', require('inner'));\n",
    },
  );
  writePackage(
    path.join(directory, 'tool/node_modules/inner'),
    inner('1.0.0'),
    innerFiles('1.0.0'),
  );
  const parts: Record<string, string> = {};
  for (let index = 0; index < MANY_FILES; index++) {
    const text = `module.exports = ${index};\n`.repeat(1 + (index % 50));
    parts[`parts/${index % 7}/deep/${index % 3}/part-${index}.js`] = text;
  }
  writePackage(path.join(directory, 'many'), { name: 'many', version: '3.2.1' }, parts);
  writePackage(
    path.join(directory, 'linked'),
    { name: 'linked', version: '0.0.1' },
    {
      'index.js': "module.exports = 'linked';\n",
    },
  );
  writePackage(
    path.join(directory, 'project'),
    {
      name: 'project',
      version: '1.0.0',
      private: true,
      scripts: { start: 'tool' },
      dependencies: {
        inner: 'file:../inner-2.0.0.tgz',
        tool: 'file:../tool-1.0.0.tgz',
        many: 'file:../many-3.2.1.tgz',
        linked: 'file:../linked',
      },
    },
    {},
  );
}

export const nodeProjectChecks: DirectoryCheck[] = [
  {
    name: 'npm packs, installs and reinstalls a project of a few hundred files, and runs it',
    run: async (directory) => {
      const npm = (folder: string, ...args: string[]) =>
        command('npm', [...args, '--offline', '--no-audit', '--no-fund'], {
          cwd: path.join(directory, folder),
          env: {
            HOME: directory,
            npm_config_userconfig: path.join(directory, 'npmrc'),
            npm_config_cache: path.join(directory, 'cache'),
            npm_config_update_notifier: 'false',
            // Nobody listens there.
            npm_config_registry: 'http://127.0.0.1:9/',
          },
        });
      writePackages(directory);
      await npm('.', 'pack', './inner', './tool', './many');
      await npm('project', 'install');
      const modules = path.join(directory, 'project/node_modules');
      const check = async () => {
        const visible = readdirSync(modules).filter((name) => !name.startsWith('.'));
        assert.deepEqual(visible.sort(), ['inner', 'linked', 'many', 'tool']);
        assert.ok(lstatSync(path.join(modules, 'linked')).isSymbolicLink());
        assert.ok(lstatSync(path.join(modules, '.bin/tool')).isSymbolicLink());
        await command('diff', ['-r', path.join(directory, 'many'), path.join(modules, 'many')]);
        assert.equal(readFileSync(path.join(modules, 'tool/built'), 'latin1'), '1.0.0');
        assert.ok(existsSync(path.join(modules, 'tool/node_modules/inner/index.js')));
        const program = "console.log(require('inner'), require('linked'))";
        const printed = await command(process.execPath, ['-e', program], {
          cwd: path.join(directory, 'project'),
        });
        assert.equal(printed, '2.0.0 linked\n');
      };
      await check();
      dropCaches(directory);
      // Removes everything, and takes it from npm's cache.
      await npm('project', 'ci');
      await check();
      assert.match(await npm('project', 'start'), /tool with inner 1\.0\.0/);
    },
  },
];

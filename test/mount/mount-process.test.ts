import { chmodSync, chownSync, mkdtempSync, rmdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'brittle';
import { MemoryFileSystem } from './support/memory-file-system.js';
import {
  isMounted,
  mounted,
  type Outcome,
  run,
  says,
  start,
  temporaryDirectory,
  until,
} from './support/mounted.js';

const SERVER = fileURLToPath(new URL('./support/serve-memory.js', import.meta.url));
const ORDINARY_USER = 65534;
const isRoot = process.geteuid?.() === 0;

test('kill -9 - leaves no dead mount', async (t) => {
  const directory = temporaryDirectory(t);
  const server = start(process.execPath, [SERVER, directory]);
  t.teardown(() => server.child.kill('SIGKILL'), { force: true });
  await says(server.child, 'mounted');
  t.is((await run('cat', `${directory}/hello`)).output, 'hello from memory\n');
  server.child.kill('SIGKILL');
  await server.outcome;
  await until(() => !isMounted(directory));
  t.is(statSync(directory).isDirectory(), true);
});

test('kill -9 - a child of the mount process does not keep the mount', async (t) => {
  const directory = temporaryDirectory(t);
  const program = `
    const { spawn } = require('node:child_process');
    process.argv[2] = process.argv[1];
    import(${JSON.stringify(SERVER)}).then(() => {
      spawn('sleep', ['60'], { stdio: 'ignore' }).on('spawn', function () { console.log('pid ' + this.pid); });
    });`;
  const server = start(process.execPath, ['-e', program, directory]);
  t.teardown(() => server.child.kill('SIGKILL'), { force: true });
  const pid = await new Promise<number>((resolve) => {
    let output = '';
    server.child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const found = /pid (\d+)\n/.exec(output)?.[1];
      if (found !== undefined && output.includes('mounted')) resolve(Number(found));
    });
  });
  t.teardown(() => process.kill(pid, 'SIGKILL'), { force: true });
  t.is((await run('ls', '-l', `/proc/${pid}/fd`)).output.includes('fuse'), false);
  server.child.kill('SIGKILL');
  await until(() => !isMounted(directory));
  t.pass();
});

test('kill -9 - while a read waits that a notification is about, leaves no dead mount', async (t) => {
  const directory = temporaryDirectory(t);
  const server = start(process.execPath, [SERVER, directory]);
  t.teardown(() => server.child.kill('SIGKILL'), { force: true });
  await says(server.child, 'mounted');
  const hanging = says(server.child, 'hanging');
  const cat = start('cat', [`${directory}/hang`]);
  await hanging;
  server.child.stdin?.write('invalidate');
  // Answered after it: the server has read the command by then.
  t.is((await run('cat', `${directory}/hello`)).output, 'hello from memory\n');
  server.child.kill('SIGKILL');
  await server.outcome;
  t.is((await cat.outcome).code, 1, 'its reader gets an error');
  await until(() => !isMounted(directory));
});

test('process.exit - with a mount up ends at once, and unmounts', async (t) => {
  const directory = temporaryDirectory(t);
  const server = start(process.execPath, [SERVER, directory]);
  t.teardown(() => server.child.kill('SIGKILL'), { force: true });
  await says(server.child, 'mounted');
  server.child.stdin?.write('exit');
  const { code } = await server.outcome;
  t.is(code, 9);
  await until(() => !isMounted(directory));
});

test('a dead mount is detached before mounting, with a notice', { skip: !isRoot }, async (t) => {
  const directory = temporaryDirectory(t);
  await leaveDeadMount(directory);
  t.ok((await run('ls', directory)).errors.includes('not connected'), 'dead');
  const notices: string[] = [];
  const fileSystem = new MemoryFileSystem();
  fileSystem.put('f', 'alive\n');
  const mount = await mounted(t, fileSystem, {
    directory,
    onNotice: (line) => notices.push(line),
  });
  t.is((await run('cat', `${mount.directory}/f`)).output, 'alive\n');
  t.alike(notices, [`Detached a dead mount at '${directory}'`]);
});

test('an ordinary user mounts, uses and unmounts', { skip: !isRoot }, async (t) => {
  makeDeviceUsable(t);
  const directory = mkdtempSync(join(tmpdir(), 'shoal-mount-test-'));
  t.teardown(() => rmdirSync(directory), { order: 1, force: true });
  chownSync(directory, ORDINARY_USER, ORDINARY_USER);
  const server = start('setpriv', [...asOrdinaryUser, process.execPath, SERVER, directory]);
  t.teardown(() => server.child.kill('SIGKILL'), { force: true });
  await says(server.child, 'mounted');
  t.is((await asUser('cat', `${directory}/hello`)).output, 'hello from memory\n');
  const write = `echo mine > '${directory}/new' && stat -c %u:%g '${directory}/new'`;
  t.is((await asUser('sh', '-c', write)).output, `${ORDINARY_USER}:${ORDINARY_USER}\n`);
  t.is((await run('cat', `${directory}/hello`)).code, 1, 'nobody else may look, not even root');
  server.child.stdin?.end();
  const { code, output } = await server.outcome;
  t.is(code, 0);
  t.is(output, 'mounted\nunmounted\n');
  t.absent(isMounted(directory));
});

const asOrdinaryUser = [`--reuid=${ORDINARY_USER}`, `--regid=${ORDINARY_USER}`, '--clear-groups'];

function asUser(command: string, ...args: string[]): Promise<Outcome> {
  return run('setpriv', ...asOrdinaryUser, command, ...args);
}

/** /dev/fuse is mode 666 on usual systems; where it is not, it is for the length of a test. */
function makeDeviceUsable(t: {
  teardown(clean: () => void, options: { force: boolean }): void;
  comment(text: string): void;
}): void {
  const { mode } = statSync('/dev/fuse');
  if ((mode & 0o006) === 0o006) return;
  t.comment('/dev/fuse is not mode 666: changed for this test');
  chmodSync('/dev/fuse', 0o666);
  t.teardown(() => chmodSync('/dev/fuse', mode), { force: true });
}

/** Mounts with a descriptor that nobody serves and that is closed at once: what a killed process leaves. */
async function leaveDeadMount(directory: string): Promise<void> {
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
  const mount = `exec 3<>/dev/fuse; mount -i -t fuse.dead -o ${options} dead '${directory}'`;
  await run('sh', '-c', mount);
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { Machine, SHOAL } from '../support/drive-mount.js';

test('cli - create, list, share and status', async (t) => {
  const machine = Machine.forTest(t);
  t.ok((await machine.shoal('list')).includes('no drives yet'));
  const created = await machine.shoal('create', 'notes');
  const readKey = (await machine.shoal('share', 'notes')).trim();
  t.is(created, `created notes\nread key ${readKey}\n`);
  t.ok(readKey.startsWith('shoal-read-'));
  t.ok((await machine.shoal('share', 'notes', '--write')).startsWith('shoal-write-'));
  t.ok((await machine.shoal('share', 'notes', '--host')).startsWith('shoal-host-'));
  t.is(await machine.shoal('list'), 'NAME   KEY    STATE\nnotes  write  not mounted\n');

  const more = JSON.parse(await machine.shoal('create', 'more', '--json')) as { name: string };
  t.is(more.name, 'more');
  const shared = JSON.parse(await machine.shoal('share', 'notes', '--json')) as { key: string };
  t.is(shared.key, readKey);
  const list = JSON.parse(await machine.shoal('list', '--json')) as { name: string }[];
  t.alike(
    list.map(({ name }) => name),
    ['more', 'notes'],
  );
  const status = JSON.parse(await machine.shoal('status', 'notes', '--json')) as {
    mount: unknown;
    localBytes: number;
  };
  t.is(status.mount, null);
  t.ok(status.localBytes > 0);
  t.ok((await machine.shoal('status')).includes('not mounted'));
});

test('cli - what cannot be meant is refused in one line, with a documented exit code', {
  timeout: 180_000,
}, async (t) => {
  const machine = Machine.forTest(t);
  await machine.shoal('create', 'notes');
  const readKey = (await machine.shoal('share', 'notes')).trim();
  const hostKey = (await machine.shoal('share', 'notes', '--host')).trim();
  const empty = machine.makeMountPoint();
  const full = machine.makeMountPoint();
  writeFileSync(join(full, 'file'), '');
  const link = join(machine.folder, 'link');
  symlinkSync(join(machine.home, 'drives'), link);

  const cases: [string[], number, string][] = [
    [['bogus'], exitCodes.usage, "Unknown command 'bogus'; 'shoal --help' shows"],
    [['mout'], exitCodes.usage, "'mout' (did you mean mount?)"],
    [['help', 'bogus'], exitCodes.usage, "Unknown command 'bogus'"],
    [['hosts'], exitCodes.usage, "'shoal hosts' needs one of add, list or remove behind it"],
    [['hosts', 'bogus'], exitCodes.usage, "Unknown command 'hosts bogus'; use add, list or remove"],
    [['hosts', 'help', 'bogus'], exitCodes.usage, "Unknown command 'hosts bogus'"],
    [['host', 'bogus'], exitCodes.usage, "Unknown command 'host bogus'; use invite, "],
    [
      ['host', 'invite', '--nwe'],
      exitCodes.usage,
      "mean --new?); 'shoal host invite --help' shows",
    ],
    [['hosts', 'list'], exitCodes.usage, "argument 'name'; 'shoal hosts list --help' shows"],
    [['mount'], exitCodes.usage, 'Missing required argument'],
    [['mount', 'notes', empty, 'more'], exitCodes.usage, 'Too many arguments'],
    [['mount', '--bogus', 'notes', empty], exitCodes.usage, "Unknown option '--bogus'"],
    [['mount', 'nope', empty], exitCodes.notFound, "Cannot find drive 'nope'"],
    [['mount', '../x', empty], exitCodes.usage, 'Cannot use drive name'],
    [['mount', 'notes', join(machine.folder, 'no')], exitCodes.notFound, 'mkdir -p'],
    [['mount', 'notes', join(full, 'file')], exitCodes.usage, 'not a directory'],
    [['mount', 'notes', full], exitCodes.usage, 'not empty'],
    [['mount', 'notes', machine.home], exitCodes.usage, 'inside SHOAL_HOME'],
    [['mount', 'notes', link], exitCodes.usage, 'inside SHOAL_HOME'],
    [['mount', 'notes', machine.folder], exitCodes.usage, 'SHOAL_HOME'],
    [['mount', 'notes', empty, '--name', 'x'], exitCodes.usage, '--name'],
    [['mount', 'notes', empty, '--driver', 'x'], exitCodes.usage, "driver 'x'"],
    [['mount', 'notes', empty, '--deadline', '0'], exitCodes.usage, '--deadline'],
    [['mount', 'notes', empty, '--deadline', '1h'], exitCodes.usage, '--deadline'],
    [['mount', 'notes', empty, '--cache-size', '1M'], exitCodes.usage, 'of 1M: at least 64M'],
    [['mount', 'notes', empty, '--bootstrap', 'x'], exitCodes.usage, 'HOST:PORT'],
    [['mount', 'notes', empty, '--bootstrap', '1.2.3.4:70000'], exitCodes.usage, '65535'],
    [['mount', readKey.slice(0, -1), empty], exitCodes.capability, 'expected 122'],
    [['mount', readKey.replace('read', 'raed'), empty], exitCodes.capability, "type 'raed'"],
    [['mount', hostKey, empty], exitCodes.capability, 'it is a host key and cannot read'],
    [['create', 'notes'], exitCodes.alreadyExists, 'there is one of that name'],
    [['create', 'a/b'], exitCodes.usage, 'Cannot use drive name'],
    [['create', readKey.slice(0, 60)], exitCodes.usage, 'it looks like a key'],
    [['share', 'nope'], exitCodes.notFound, "Cannot find drive 'nope'"],
    [['share', 'notes', '--read', '--host'], exitCodes.usage, 'choose one'],
    [['status', 'nope'], exitCodes.notFound, "Cannot find drive 'nope'"],
    [['unmount', 'notes'], exitCodes.notFound, 'the drive is not mounted'],
    [['unmount', empty], exitCodes.notFound, 'no drive is mounted there'],
    [['unmount', join(machine.folder, 'no', 'no')], exitCodes.notFound, 'no drive is mounted'],
    [['bootstrap'], exitCodes.usage, '--port'],
    [['bootstrap', '--port', '65536'], exitCodes.usage, '1 to 65535'],
    [['bootstrap', '--port', '40000', '--host', 'x'], exitCodes.usage, 'IPv4'],
  ];
  for (const [args, code, text] of cases) {
    const result = await machine.tryShoal(args);
    const label = `${args.join(' ').slice(0, 80)}: ${result.stderr.trim()}`;
    t.is(result.code, code, label);
    t.ok(result.stderr.includes(text), label);
    t.ok(/^shoal: [^\n]+\n$/.test(result.stderr), `one line: ${label}`);
    t.is(result.stdout, '');
  }
  t.alike(JSON.parse(await machine.shoal('list', '--json')).length, 1, 'nothing was made');
});

test('cli - a drive may have a name that begins as a key does', async (t) => {
  const machine = Machine.forTest(t, { here: true });
  await machine.shoal('create', 'shoal-notes');
  const full = machine.makeMountPoint();
  writeFileSync(join(full, 'file'), '');
  for (const [args, code, text] of [
    // The drive is found, and the directory looked at.
    [['mount', 'shoal-notes', full], exitCodes.usage, 'not empty'],
    [['unmount', 'shoal-notes'], exitCodes.notFound, 'the drive is not mounted'],
    [['mount', 'shoal-notse', full], exitCodes.capability, "type 'notse' is unknown"],
    [['mount', 'shoal-read-notes', full], exitCodes.capability, 'expected 122'],
    [['unmount', 'shoal-read-notes'], exitCodes.notFound, 'no drive is mounted there'],
  ] as const) {
    const result = await machine.tryShoal([...args]);
    t.is(result.code, code, result.stderr);
    t.ok(result.stderr.includes(text), result.stderr);
  }
});

test('cli - a key on standard input', async (t) => {
  const machine = Machine.forTest(t);
  const empty = machine.makeMountPoint();
  for (const [input, text] of [
    ['', 'expected one line with a key'],
    ['\n', 'expected one line with a key'],
    ['x'.repeat(10_000), 'expected one line with a key'],
    ['hello\n', 'a key begins with'],
  ] as const) {
    const result = await machine.tryShoal(['mount', '-', empty], input);
    t.ok(result.stderr.includes(text), result.stderr);
    t.ok(result.code === exitCodes.usage || result.code === exitCodes.capability);
  }
});

test('cli - help and version', async (t) => {
  const machine = Machine.forTest(t, { here: true });
  t.ok(/^\d+\.\d+\.\d+\n$/.test(await machine.shoal('--version')));
  const help = await machine.shoal('--help');
  for (const name of ['create', 'mount', 'unmount', 'share', 'list', 'status', 'bootstrap']) {
    t.ok(help.includes(`  ${name} `), name);
  }
  t.absent(help.includes('mount-process'));
  t.is(await machine.shoal(), help);
  const ofMount = await machine.shoal('mount', '--help');
  t.ok(ofMount.includes('--read-only'));
  for (const [command, ...texts] of [
    ['mount', 'at least 64M', 'kernel or fuse-native', 'only what is on this machine can be read'],
    ['restore', '(required)'],
    ['bootstrap', '(required)'],
    ['protect', '(4 as long as it is not set)', 'stripe (2)'],
    ['snapshot', 'shoal snapshot [options] <name> --delete <label>'],
    ['host', 'needed the first time', 'help [command...]'],
  ] as const) {
    const text = (await machine.shoal('help', command)).replace(/\s+/g, ' ');
    for (const each of texts) t.ok(text.includes(each), `${command}: ${each}`);
  }
  t.is(await machine.shoal('help'), help);
  t.is(await machine.shoal('help', 'mount'), ofMount);
  const ofAdd = await machine.shoal('hosts', 'add', '--help');
  t.is(await machine.shoal('help', 'hosts', 'add'), ofAdd);
  t.is(await machine.shoal('hosts', 'help', 'add'), ofAdd);
  t.is(await machine.shoal('host', 'help'), await machine.shoal('host', '--help'));
});

test('cli - somebody who reads no more of the output is no fault', async (t) => {
  const machine = Machine.forTest(t);
  await machine.shoal('create', 'notes');
  const child = spawn(process.execPath, [SHOAL, 'list'], {
    env: { ...process.env, SHOAL_HOME: machine.home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  let complaint = '';
  child.stderr.on('data', (bytes: Buffer) => {
    complaint += String(bytes);
  });
  const [code] = await once(child, 'close');
  t.is(complaint, '');
  t.is(code, 0);
});

test('cli - output that cannot be written is a fault in one line', async (t) => {
  const machine = Machine.forTest(t);
  await machine.shoal('create', 'notes');
  const full = openSync('/dev/full', 'w');
  t.teardown(() => closeSync(full), { force: true });
  for (const [args, code, text] of [
    [
      ['list'],
      exitCodes.noSpace,
      'shoal: Cannot write the output: ENOSPC: no space left on device',
    ],
    // What the command itself says of its end stays.
    [['share', 'nope'], exitCodes.notFound, "shoal: Cannot find drive 'nope'"],
  ] as const) {
    const child = spawn(process.execPath, [SHOAL, ...args], {
      env: { ...process.env, SHOAL_HOME: machine.home },
      stdio: ['ignore', full, 'pipe'],
    });
    let complaint = '';
    child.stderr?.on('data', (bytes: Buffer) => {
      complaint += String(bytes);
    });
    const [ended] = await once(child, 'close');
    t.is(ended, code, complaint);
    t.ok(complaint.startsWith(text), complaint);
    t.ok(/^[^\n]+\n$/.test(complaint), 'one line');
  }
});

test('cli - a stack trace is shown when asked for, only then', async (t) => {
  const machine = Machine.forTest(t);
  const args = ['share', 'nope'];
  t.absent((await machine.tryShoal(args)).stderr.includes('    at '));
  process.env.SHOAL_DEBUG = '1';
  t.teardown(() => delete process.env.SHOAL_DEBUG, { force: true });
  t.ok((await machine.tryShoal(args)).stderr.includes('    at '));
});

test('cli - a drive with a damaged or newer file does not hide the others', async (t) => {
  const machine = Machine.forTest(t);
  await machine.shoal('create', 'good');
  for (const [name, text] of [
    ['damaged', '{'],
    ['newer', '{"formatVersion": 9}'],
  ] as const) {
    mkdirSync(join(machine.home, 'drives', name), { recursive: true });
    writeFileSync(join(machine.home, 'drives', name, 'drive.json'), text);
  }
  const list = await machine.shoal('list');
  t.ok(/^good +write +not mounted$/m.test(list));
  t.ok(/^damaged .*it is damaged/m.test(list));
  t.ok(/^newer .*format version 9, this program knows 1; update Shoal/m.test(list));
  const result = await machine.tryShoal(['mount', 'newer', machine.makeMountPoint()]);
  t.is(result.code, exitCodes.formatVersion);
});

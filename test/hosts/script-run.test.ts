/** Scripts that start hosts and mounts leave nothing behind, however they end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Assertions, test } from 'brittle';
import { ended } from '../support/command.js';
import { isRunning } from '../support/drive-mount.js';
import { markedProcesses, mountsBelow } from '../support/runner/leftovers.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { until } from './support/host-process.js';

const TIME = { timeout: 120_000 } as const;
const MARK = 'SHOAL_SCRIPT_MARK';
const scripts = new URL('../../scripts/', import.meta.url);

/** Runs a program of Node.js with a folder of its own for temporary files. */
function start(t: Assertions, ...args: string[]): { child: ChildProcess; folder: string } {
  const folder = temporaryFolder(t, 'run');
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, TMPDIR: folder },
  });
  t.teardown(() => child.kill('SIGKILL'), { force: true });
  return { child, folder };
}

/** What carries the mark of the script that runs in a folder. */
function started(folder: string): number {
  const [mark] = readdirSync(folder);
  return mark === undefined ? 0 : markedProcesses(mark, MARK).length;
}

for (const [signal, exitCode] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`try-hosts - nothing is left after ${signal}`, TIME, async (t) => {
    const script = fileURLToPath(new URL('try-hosts.js', scripts));
    const sizes = ['--mib', '1', '--files', '10', '--hosts', '2', '--data', '1', '--parity', '1'];
    const { child, folder } = start(t, script, ...sizes);
    await until('a drive is mounted', () => mountsBelow(folder).length > 0, 60_000);
    const [mark] = readdirSync(folder);
    t.ok(started(folder) >= 3, 'two hosts and a mount');
    const end = ended(child);
    child.kill(signal);
    t.is((await end).code, exitCode);
    t.alike(readdirSync(folder), []);
    t.alike(mountsBelow(folder), []);
    t.alike(markedProcesses(mark as string, MARK), []);
  });
}

const failures = {
  'it fails': "throw new Error('this is why')",
  'nobody catches an error':
    "setTimeout(() => { throw new Error('this is why') }); await new Promise(() => {})",
};
for (const [what, failure] of Object.entries(failures)) {
  test(`script - nothing is left when ${what}`, TIME, async (t) => {
    const source = `
      import { spawn } from 'node:child_process';
      import { mkdtempSync } from 'node:fs';
      import { tmpdir } from 'node:os';
      import { ScriptRun } from '${new URL('script-run.js', scripts)}';
      await ScriptRun.of('script', async () => {
        mkdtempSync(tmpdir() + '/left-');
        const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
        child.unref();
        console.error('started ' + child.pid);
        ${failure};
      });`;
    const { child, folder } = start(t, '--input-type=module', '--eval', source);
    let said = '';
    child.stderr?.on('data', (bytes) => {
      said += bytes;
    });
    t.is((await ended(child)).code, 1);
    t.ok(/^script: this is why/m.test(said), said);
    t.alike(readdirSync(folder), []);
    const pid = Number(/^started (\d+)$/m.exec(said)?.[1]);
    t.absent(isRunning(pid), `process ${pid}`);
  });
}

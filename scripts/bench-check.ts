/** See scripts/bench-check. Uses the program as a user does: create, mount, write, unmount, check. */
import { spawn, spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SHOAL = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const FILES_PER_DIRECTORY = 1000;
const LOOK_MS = 20;

const files = Number(process.argv[2] ?? 100_000);
const bytes = Number(process.argv[3] ?? 4096);
const folder = mkdtempSync(join(tmpdir(), 'bench-check-'));
const directory = join(folder, 'mount');
const env = { ...process.env, SHOAL_HOME: join(folder, 'home') };

try {
  mkdirSync(directory);
  shoal('create', 'drive');
  shoal('mount', 'drive', directory, '--offline');
  try {
    const began = performance.now();
    writeFiles();
    process.stdout.write(`wrote ${files} files of ${bytes} bytes in ${seconds(began)} s\n`);
  } finally {
    shoal('unmount', 'drive', '--force');
  }
  // Twice: the second time the files of the store are in the system's cache.
  for (let i = 0; i < 2; i++) await check();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function writeFiles(): void {
  const content = Buffer.alloc(bytes);
  for (let i = 0; i < files; i++) {
    const parent = join(directory, String(Math.floor(i / FILES_PER_DIRECTORY)));
    if (i % FILES_PER_DIRECTORY === 0) mkdirSync(parent);
    writeFileSync(join(parent, `file-${i}`), randomFillSync(content));
  }
}

function shoal(...args: string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [SHOAL, ...args], {
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`'shoal ${args.join(' ')}' failed: ${stderr}`);
}

async function check(): Promise<void> {
  const began = performance.now();
  const child = spawn(process.execPath, [SHOAL, 'check', 'drive'], { env, stdio: 'inherit' });
  let peak = '?';
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      peak = /^VmHWM:\s+(.+)$/m.exec(status)?.[1] ?? peak;
    } catch {
      // It has ended.
    }
  }, LOOK_MS);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearInterval(timer);
  process.stdout.write(
    `check: exit code ${code}, ${seconds(began)} s, at most ${peak} of memory\n`,
  );
}

function seconds(began: number): string {
  return ((performance.now() - began) / 1000).toFixed(1);
}

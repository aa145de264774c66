/** Prints what `measureDedup` finds: `node dist/scripts/space/dedup-main.js [FOLDER [TREE-MB [FILE-MB [zstd|none]]]]` */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureDedup } from './dedup.js';

const [parent = tmpdir(), treeMb = '300', fileMb = '1000', compression = 'zstd'] =
  process.argv.slice(2);
const folder = mkdtempSync(join(parent, 'bench-space-'));
try {
  const rows = await measureDedup(folder, {
    treeBytes: Number(treeMb) * 1e6,
    fileBytes: Number(fileMb) * 1e6,
    compression: compression === 'none' ? 'none' : 'zstd',
  });
  for (const { what, value, unit, wanted } of rows) {
    const goal = wanted === null ? '' : `wanted: below ${wanted} ${unit}`;
    const missed = wanted !== null && value >= wanted;
    if (missed) process.exitCode = 1;
    process.stdout.write(
      `${what.padEnd(36)} ${value.toFixed(2).padStart(10)} ${unit.padEnd(6)} ${goal}${missed ? ' MISSED' : ''}\n`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

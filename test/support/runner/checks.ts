/** The checks of a run that are no test files: the type check and the lint, one counted test each. */
import path from 'node:path';
import { tryCommand } from '../command.js';
import type { FileResult } from './test-file.js';

interface Check {
  name: string;
  program: string;
  args: string[];
}

const CHECKS: Check[] = [
  {
    name: 'types',
    program: 'tsc',
    args: ['-p', 'tsconfig.json', '--noEmit', '--incremental', 'false'],
  },
  { name: 'lint', program: 'biome', args: ['check', '--error-on-warnings', '.'] },
];

/** Runs the checks whose name a filter matches. */
export async function runChecks(
  root: string,
  wanted: (name: string) => boolean,
): Promise<FileResult[]> {
  const results: FileResult[] = [];
  for (const check of CHECKS) {
    if (!wanted(check.name)) continue;
    const started = performance.now();
    const program = path.join(root, 'node_modules', '.bin', check.program);
    const result = await tryCommand(program, check.args, { cwd: root });
    const ok = result.code === 0;
    results.push({
      name: check.name,
      passed: ok ? 1 : 0,
      failed: ok ? 0 : 1,
      skipped: [],
      assertions: 1,
      seconds: (performance.now() - started) / 1000,
      output: ok ? '' : `${result.stdout}${result.stderr}`.trim(),
    });
  }
  return results;
}

#!/usr/bin/env node
/** Entry of the program. */
import { exitCodeOf } from './exit-codes.js';
import { formatError, printLine } from './output.js';
import { runCommand } from './program.js';

const { stdin, stdout, stderr, env: environment } = process;
let outputExitCode = 0;
stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Who reads the output may have seen enough ("shoal list | head -1"); what the command does goes on, also after a fault.
  if (error.code === 'EPIPE' || outputExitCode !== 0) return;
  outputExitCode = exitCodeOf(error);
  printLine(stderr, formatError(new Error(`Cannot write the output: ${error.message}`)));
});
// Nobody can be told of it.
stderr.on('error', () => undefined);
// Later than `mount --foreground` and `check`, which set exit codes of their own; these say more.
process.on('exit', () => {
  if (outputExitCode !== 0 && !process.exitCode) process.exitCode = outputExitCode;
});
const exitCode = await runCommand(process.argv.slice(2), { stdin, stdout, stderr, environment });
if (exitCode !== 0) process.exitCode = exitCode;

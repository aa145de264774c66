#!/usr/bin/env node
/** Entry of the program. */
import { runCommand } from './program.js';

const { stdin, stdout, stderr, env: environment } = process;
// Who reads the output may have seen enough ("shoal list | head -1"); what the command does goes on.
for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
const exitCode = await runCommand(process.argv.slice(2), { stdin, stdout, stderr, environment });
// `mount --foreground` sets the mount's own exit code.
if (exitCode !== 0) process.exitCode = exitCode;

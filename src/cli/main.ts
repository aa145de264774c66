#!/usr/bin/env node
/** Entry of the program. */
import { runCommand } from './program.js';

const { stdin, stdout, stderr, env: environment } = process;
const exitCode = await runCommand(process.argv.slice(2), { stdin, stdout, stderr, environment });
// `mount --foreground` sets the mount's own exit code.
if (exitCode !== 0) process.exitCode = exitCode;

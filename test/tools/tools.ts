/** Everything that real programs are expected to do on a mounted drive. */
import type { DirectoryCheck } from '../support/run-behaviours.js';
import { compilerChecks } from './compiler.js';
import { copyChecks } from './copies.js';
import { everydayChecks } from './everyday.js';
import { gitChecks } from './git.js';
import { nameChecks } from './names.js';
import { nodeProjectChecks } from './node-project.js';
import { rsyncChecks } from './rsync.js';
import { sqliteChecks } from './sqlite.js';
import { watchingChecks } from './watching.js';

export const toolChecks: readonly DirectoryCheck[] = [
  ...rsyncChecks,
  ...gitChecks,
  ...sqliteChecks,
  ...copyChecks,
  ...everydayChecks,
  ...nameChecks,
  ...watchingChecks,
  ...compilerChecks,
  ...nodeProjectChecks,
];

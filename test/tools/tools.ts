/** Everything that real programs are expected to do on a mounted drive. */
import type { DirectoryCheck } from '../support/run-behaviours.js';
import { copyChecks } from './copies.js';
import { everydayChecks } from './everyday.js';
import { gitChecks } from './git.js';
import { rsyncChecks } from './rsync.js';
import { sqliteChecks } from './sqlite.js';

export const toolChecks: readonly DirectoryCheck[] = [
  ...rsyncChecks,
  ...gitChecks,
  ...sqliteChecks,
  ...copyChecks,
  ...everydayChecks,
];

import { limits } from '../../limits.js';
import type { Fix, TreeProblem } from './tree-problem.js';

/** Problems, the first of them listed. */
export class ProblemList {
  readonly listed: TreeProblem[] = [];
  count = 0;

  add(problem: TreeProblem): void {
    this.count++;
    if (this.listed.length < limits.check_problems_max) this.listed.push(problem);
  }

  report(ino: number | null, message: string, fix: Fix | null = null): void {
    this.add({ ino, message, fix });
  }

  /** About an entry of a directory; null for one whose number cannot be read. */
  reportName(parent: number | null, name: string, message: string, fix: Fix): void {
    this.add({ ino: parent, name, message: `Entry ${JSON.stringify(name)}: ${message}`, fix });
  }
}

import { limits } from '../limits.js';

/** What a repair did, the first of it listed. */
export class Repairs {
  readonly lines: string[] = [];
  count = 0;

  add(line: string): void {
    this.count++;
    if (this.lines.length < limits.check_problems_max) this.lines.push(line);
  }
}

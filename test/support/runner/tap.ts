/** Reads what brittle prints: tests stand at the start of a line, their assertions are indented. */

/** Results of one test file. */
export interface TapReport {
  passed: string[];
  failed: string[];
  /** Names of tests that declared themselves skipped. */
  skipped: string[];
  assertions: number;
  /** brittle's last line was seen: nothing ended the process early. */
  complete: boolean;
  /** The output of failed tests, and of the one that was running when the process ended early. */
  failureOutput: string;
}

const TEST = /^(ok|not ok) \d+ - (.*)$/;
const ASSERTION = /^ {4}(ok|not ok) \d+/;
const ELAPSED = / # time = [\d.]+ms$/;

/** Counts tests and assertions in a file's output. */
export function parseTap(output: string): TapReport {
  const report: TapReport = {
    passed: [],
    failed: [],
    skipped: [],
    assertions: 0,
    complete: false,
    failureOutput: '',
  };
  let failures: string[] = [];
  let section: string[] = [];
  for (const line of output.split('\n')) {
    const result = TEST.exec(line);
    if (result !== null) {
      const [, verdict, text = ''] = result;
      const name = text.replace(ELAPSED, '');
      // What brittle did not run is marked with one word in capitals.
      if (/ # [A-Z]+$/.test(name)) report.skipped.push(name.replace(/ # [A-Z]+$/, ''));
      else if (verdict === 'ok') report.passed.push(name);
      else {
        report.failed.push(name);
        // Not spread: there may be more lines than a call takes arguments.
        failures = failures.concat(section, line);
      }
      section = [];
      continue;
    }
    if (/^# (not )?ok$/.test(line)) report.complete = true;
    if (ASSERTION.test(line)) report.assertions++;
    section.push(line);
  }
  if (!report.complete) failures = failures.concat(section);
  report.failureOutput = failures.filter((line) => line.trim() !== '').join('\n');
  return report;
}

/**
 * Runs the test file that is named: `node run-file.js FILE`. Brittle's own default fails a test after 30 seconds: tests that
 * start some programs take a few on an idle machine, and on one of two cores that runs other tests at the same time up to
 * ten times as long. That is no failure; a test that hangs is found all the same.
 *
 * (No option of Node.js, as those go on to the programs that a test starts.)
 */
import { pathToFileURL } from 'node:url';
import brittle from 'brittle';

/** Of a test that says nothing else. */
const TEST_TIME_MS_MAX = 120_000;

brittle.configure({ timeout: TEST_TIME_MS_MAX });
await import(pathToFileURL(String(process.argv[2])).href);

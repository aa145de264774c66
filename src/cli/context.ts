/** What a command gets from outside: streams and the environment, so that a test can give others. */
import type { Readable, Writable } from 'node:stream';
import { Home } from '../drive/home.js';
import { formatJson, printLine } from './output.js';

export interface CliContext {
  stdin: Readable;
  stdout: Writable;
  stderr: Writable;
  environment: NodeJS.ProcessEnv;
}

/** The home the environment names. Throws UsageError. */
export function homeOf(context: CliContext): Home {
  return Home.fromEnvironment(context.environment);
}

/** Prints a report: JSON on one line, or lines for people. */
export function printReport(
  context: CliContext,
  asJson: boolean | undefined,
  value: unknown,
  text: string,
): void {
  const line = asJson === true ? formatJson(value) : text;
  if (line !== '') printLine(context.stdout, line);
}

/**
 * A process that takes and gives back file locks on command, one word line each on standard input:
 *   flock OPERATION | range KIND TYPE OFFSET LENGTH WAIT | read
 * It answers each with a line: `done`, an error code, or for `read` the text of the file.
 */
import { openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { flock, type RangeLockKind, setRangeLock } from './file-locks.js';

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('Cannot lock: no file was named');
const fd = openSync(file, 'r+');
console.log('ready');

for await (const line of createInterface({ input: process.stdin })) console.log(answer(line));

function answer(line: string): string {
  const [command, ...words] = line.split(' ');
  try {
    if (command === 'read') return readFileSync(String(file), 'latin1');
    if (command === 'flock') flock(fd, Number(words[0]));
    else {
      const [kind, ...numbers] = words;
      const [type = 0, offset = 0, length = 0, wait = 0] = numbers.map(Number);
      setRangeLock(kind as RangeLockKind, fd, type, offset, length, wait === 1);
    }
    return 'done';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

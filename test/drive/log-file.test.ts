import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'brittle';
import { LogFile } from '../../src/drive/log-file.js';
import { limits } from '../../src/limits.js';
import { temporaryFolder } from '../support/temporary-folder.js';

test('log file - lines with a time, one line each, for the owner only', (t) => {
  const path = join(temporaryFolder(t, 'log'), 'log');
  const log = new LogFile(path, () => new Date(0));
  log.write('one');
  log.write('two\nand \x1b[31m more');
  t.is(
    readFileSync(path, 'utf8'),
    '1970-01-01T00:00:00.000Z one\n1970-01-01T00:00:00.000Z two and  [31m more\n',
  );
  t.is(statSync(path).mode & 0o777, 0o600);
});

test('log file - never grows beyond its limit, and keeps one before', (t) => {
  const path = join(temporaryFolder(t, 'log'), 'log');
  const log = new LogFile(path);
  const line = 'x'.repeat(10 * limits.log_line_bytes_max);
  const count = Math.ceil((3 * limits.log_file_bytes_max) / limits.log_line_bytes_max);
  for (let i = 0; i < count; i++) log.write(line);
  t.ok(statSync(path).size <= limits.log_file_bytes_max);
  t.ok(statSync(`${path}.1`).size <= limits.log_file_bytes_max);
  t.ok(statSync(path).size > 0);
});

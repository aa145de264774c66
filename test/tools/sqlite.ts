/** sqlite: commits with a rollback journal and with a write-ahead log, two processes at once. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { command, ended } from '../support/command.js';
import { dropCaches } from '../support/drop-caches.js';
import { LineReader } from '../support/line-reader.js';
import type { DirectoryCheck } from '../support/run-behaviours.js';

const ROWS = 300;

function sqlite(database: string, statements: string): Promise<string> {
  return command('sqlite3', ['-batch', '-bail', '-cmd', '.timeout 30000', database], {
    input: statements,
  });
}

function inserts(name: string, count: number): string {
  const lines: string[] = [];
  for (let index = 0; index < count; index++) {
    lines.push(
      `INSERT INTO entries (writer, number, body) VALUES ('${name}', ${index}, hex(randomblob(200)));`,
    );
  }
  return lines.join('\n');
}

function check(mode: 'DELETE' | 'WAL'): DirectoryCheck {
  return {
    name: `sqlite in ${mode} mode: two processes commit at once, nothing is lost, the database is sound`,
    run: async (directory) => {
      const database = path.join(directory, 'data.db');
      const answer = await sqlite(
        database,
        `PRAGMA journal_mode=${mode}; CREATE TABLE entries (id INTEGER PRIMARY KEY, writer TEXT, number INTEGER, body TEXT);
         CREATE INDEX entries_body ON entries (body);`,
      );
      assert.equal(answer.trim(), mode.toLowerCase());
      await Promise.all(['a', 'b'].map((name) => sqlite(database, inserts(name, ROWS / 2))));
      await sqlite(
        database,
        "DELETE FROM entries WHERE number % 3 = 0; UPDATE entries SET body = 'x' WHERE number % 5 = 0;",
      );
      await sqlite(database, `BEGIN; ${inserts('undone', 20)} ROLLBACK;`);
      dropCaches(directory);
      const left = Array.from({ length: ROWS / 2 }, (_, index) => index).filter(
        (index) => index % 3 !== 0,
      );
      assert.equal(await sqlite(database, 'PRAGMA integrity_check;'), 'ok\n');
      assert.equal(
        await sqlite(
          database,
          'SELECT writer, count(*), sum(number) FROM entries GROUP BY writer ORDER BY writer;',
        ),
        ['a', 'b']
          .map((name) => `${name}|${left.length}|${left.reduce((sum, value) => sum + value, 0)}\n`)
          .join(''),
      );
      await sqlite(database, 'VACUUM;');
      assert.equal(await sqlite(database, 'PRAGMA integrity_check;'), 'ok\n');
    },
  };
}

/** Transactions of two rows each, and after each commit a line with the number of rows. */
function transactions(count: number): string {
  const lines: string[] = [];
  for (let index = 0; index < count; index++) {
    lines.push(
      'BEGIN; INSERT INTO entries (body) VALUES (hex(randomblob(2000)));',
      'INSERT INTO entries (body) VALUES (hex(randomblob(20))); COMMIT;',
      'SELECT max(id) FROM entries;',
    );
  }
  return lines.join('\n');
}

function killCheck(mode: 'DELETE' | 'WAL'): DirectoryCheck {
  return {
    name: `sqlite in ${mode} mode: a writer that is killed leaves all it committed, and no half transaction`,
    run: async (directory) => {
      const database = path.join(directory, 'data.db');
      await sqlite(
        database,
        `PRAGMA journal_mode=${mode}; CREATE TABLE entries (id INTEGER PRIMARY KEY, body TEXT);`,
      );
      let acknowledged = 0;
      for (let round = 0; round < 3; round++) {
        const writer = spawn('stdbuf', ['-oL', 'sqlite3', '-batch', '-bail', database], {
          stdio: ['pipe', 'pipe', 'inherit'],
        });
        const end = ended(writer);
        // It does not live to read it all.
        writer.stdin.on('error', () => undefined);
        writer.stdin.write(transactions(2000));
        const lines = new LineReader(writer.stdout);
        for (let line = 0; line < 15; line++) acknowledged = Number(await lines.next());
        writer.kill('SIGKILL');
        assert.equal((await end).signal, 'SIGKILL');
        // What it said until it died counts as well.
        while (lines.pending > 0) acknowledged = Number(await lines.next());
        const count = Number(
          await sqlite(database, 'SELECT count(*) FROM entries; PRAGMA integrity_check;').then(
            (printed) => {
              assert.match(printed, /^\d+\nok\n$/);
              return printed.split('\n')[0];
            },
          ),
        );
        assert.ok(count >= acknowledged, `${count} rows, ${acknowledged} were committed`);
        assert.equal(count % 2, 0, 'whole transactions');
      }
    },
  };
}

export const sqliteChecks: DirectoryCheck[] = [
  check('DELETE'),
  check('WAL'),
  killCheck('DELETE'),
  killCheck('WAL'),
];

/** What may differ is told to the user, in the words of the tables that the tester uses. */
import { readFileSync } from 'node:fs';
import { test } from 'brittle';
import { LEGITIMATE_DIFFERENCES, NOT_ASKED } from './legitimate-differences.js';

test('differential: docs/posix.md has every difference that is accepted', (t) => {
  const text = readFileSync(new URL('../../../docs/posix.md', import.meta.url), 'utf8');
  for (const { what, why } of [...LEGITIMATE_DIFFERENCES, ...NOT_ASKED]) {
    t.ok(text.includes(`| ${what} | ${why} |`), what);
  }
});

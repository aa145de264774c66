import { PassThrough } from 'node:stream';
import test from 'brittle';
import { readKeyFrom } from '../../src/cli/read-key.js';

test('reading a key - asks for it on a terminal only', async (t) => {
  for (const isTTY of [true, false]) {
    const prompts = new PassThrough();
    const input = Object.assign(new PassThrough(), { isTTY });
    const key = readKeyFrom(input, prompts);
    input.write('  shoal-read-x \nand more');
    t.is(await key, 'shoal-read-x', 'the first line, without waiting for an end');
    t.is(String(prompts.read() ?? ''), isTTY ? 'key: ' : '');
  }
});

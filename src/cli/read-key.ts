/** A key from standard input, for those who do not want it in their shell's history. */
import type { Readable, Writable } from 'node:stream';
import { UsageError } from '../errors.js';
import { isTerminal } from './output.js';

const KEY_CHARACTERS_MAX = 4096;

const PROMPT = 'key: ';

/** The first line; asks for it on a terminal, at `prompts`. Throws UsageError when there is none, or too much. */
export async function readKeyFrom(stream: Readable, prompts: Writable): Promise<string> {
  if (isTerminal(stream)) prompts.write(PROMPT);
  let text = '';
  for await (const piece of stream) {
    text += String(piece);
    if (text.includes('\n') || text.length > KEY_CHARACTERS_MAX) break;
  }
  const line = (text.split('\n', 1)[0] ?? '').trim();
  if (line === '' || line.length > KEY_CHARACTERS_MAX) {
    throw new UsageError('Cannot read a key from standard input: expected one line with a key');
  }
  return line;
}

/** Names of files on a terminal. They are bytes, and somebody else's. */

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Controls, marks that turn the direction of text, and line ends. Not the joiners of emoji. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
/** Besides what stands for a byte here. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\\]/u;
const JOINERS = '\u200c\u200d';
const SHORT: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

/** The text that bytes are in UTF-8; null when they are none. */
export function textOfBytes(bytes: Buffer): string | null {
  try {
    return UTF8.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

/**
 * A name in a form that a terminal can show, with the escapes of `ls -b`: `\n`, `\t`, `\r`, `\\`, and `\ooo`, in octal
 * digits, for each byte of what is no printable text.
 */
export function printableName(bytes: Buffer): string {
  let shown = '';
  for (let at = 0; at < bytes.length; ) {
    const length = characterBytes(bytes, at);
    const character = bytes.subarray(at, at + length);
    const text = textOfBytes(character);
    shown += text === null || isUnsafe(text) ? escaped(character) : text;
    at += length;
  }
  return shown;
}

/** Bytes of the character at a place; 1 where there is none. */
function characterBytes(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  return textOfBytes(bytes.subarray(at, at + length)) === null ? 1 : length;
}

function isUnsafe(text: string): boolean {
  return UNSAFE.test(text) && !JOINERS.includes(text);
}

function escaped(character: Buffer): string {
  const short = SHORT[character.toString('latin1')];
  if (short !== undefined) return short;
  return [...character].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
}

/** A path that was read as UTF-8: a name may hold what a terminal takes as a command. */
export function printablePath(path: string): string {
  if (withoutHidden(path, () => '') === path) return path;
  // JSON leaves some of them as they are.
  return withoutHidden(JSON.stringify(path), (character) =>
    character
      .split('')
      .map((unit) => `\\u${hexOf(unit)}`)
      .join(''),
  );
}

/** A line of text in which there may be names, as {@link printableName} shows them; but a backslash stays as it is. */
export function printableText(text: string): string {
  return withoutHidden(text, (character) => escaped(Buffer.from(character)));
}

function withoutHidden(text: string, replace: (character: string) => string): string {
  return text.replace(HIDDEN, (character) =>
    JOINERS.includes(character) ? character : replace(character),
  );
}

function hexOf(unit: string): string {
  return unit.charCodeAt(0).toString(16).padStart(4, '0');
}

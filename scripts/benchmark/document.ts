/** Tables in a document: what is written by hand around them stays. */

const END = '<!-- bench: end -->';

/**
 * The document with a section's text between its marks, `<!-- bench: NAME -->` and `<!-- bench: end -->`; at its end when
 * it has no such marks. Throws when the end mark is missing.
 */
export function withSection(document: string, name: string, text: string): string {
  const begin = `<!-- bench: ${name} -->`;
  const section = `${begin}\n\n${text.trim()}\n\n${END}`;
  const start = document.indexOf(begin);
  if (start < 0) return `${document.trimEnd()}${document.trim() === '' ? '' : '\n\n'}${section}\n`;
  const end = document.indexOf(END, start);
  if (end < 0) throw new Error(`Cannot write the section '${name}': '${END}' is missing behind it`);
  return document.slice(0, start) + section + document.slice(end + END.length);
}

/**
 * Names are bytes; the package has them as text. Bytes that are no UTF-8 have become U+FFFD in it, so different names
 * look alike: nothing with that character is taken, lest another file is changed than was meant.
 */
import { isUtf8 } from 'node:buffer';
import type { ByteName } from '../file-system.js';
import { mountLimits } from '../limits.js';
import { PathError } from './path-error.js';

const REPLACEMENT = '\ufffd';

/** A part of a path, or the name of an extended attribute. Throws EILSEQ, ENAMETOOLONG. */
export function byteName(text: string): ByteName {
  const bytes = bytesOf(text);
  if (bytes.length > mountLimits.name_bytes_max) throw new PathError('ENAMETOOLONG');
  return bytes.toString('latin1');
}

/** The bytes of a text that came from the kernel. Throws EILSEQ. */
export function bytesOf(text: string): Buffer {
  if (text.includes(REPLACEMENT)) throw new PathError('EILSEQ');
  return Buffer.from(text, 'utf8');
}

/** A name for a listing. What is no UTF-8 gets U+FFFD: it is seen, and EILSEQ answers whoever asks for it. */
export function listedName(name: ByteName): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}

/** The text of bytes that must be exact. Throws EILSEQ. */
export function exactText(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new PathError('EILSEQ');
  return bytes.toString('utf8');
}

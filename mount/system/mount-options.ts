import { MountError } from '../errors.js';
import type { FileSystem, MountOptions } from '../file-system.js';

/**
 * The mount options of every driver. What a drive holds may come from somebody else: its set-user-id programs and
 * devices are without power, for root too. Throws {@link MountError} for a name that cannot be in an option.
 */
export function mountOptionWords(fileSystem: FileSystem, options: MountOptions): string[] {
  const words = ['nosuid', 'nodev', 'default_permissions'];
  if (fileSystem.readOnly) words.push('ro');
  if (options.allowOther) words.push('allow_other');
  words.push(`fsname=${checkedWord('source name', options.sourceName)}`);
  words.push(`subtype=${checkedWord('subtype', options.subtype)}`);
  return words;
}

/** A comma would begin another mount option, a backslash or a blank would be read differently by different programs. */
function checkedWord(what: string, text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (/^$|[\u0000-\u0020,\\\u007f]/.test(text)) {
    throw new MountError(
      `Cannot mount with ${what} '${text}': blanks, commas, backslashes and control characters are not allowed`,
    );
  }
  return text;
}

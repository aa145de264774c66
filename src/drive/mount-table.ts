/** What the kernel has mounted, read from /proc: nothing here touches a mounted directory, which may not answer. */
import { readFile } from 'node:fs/promises';

export interface MountTableEntry {
  directory: string;
  /** File system type, such as "fuse.shoal". */
  type: string;
  /** The device column. */
  source: string;
}

/** FUSE subtype of our mounts. */
export const MOUNT_SUBTYPE = 'shoal';
const MOUNT_TYPE = `fuse.${MOUNT_SUBTYPE}`;
const SOURCE_PREFIX = 'shoal:';

/** What the device column says of a drive's mount. */
export function mountSource(driveName: string): string {
  return `${SOURCE_PREFIX}${driveName}`;
}

/** The drive's name in the device column; null for other mounts. */
export function driveNameOf(entry: MountTableEntry): string | null {
  if (entry.type !== MOUNT_TYPE || !entry.source.startsWith(SOURCE_PREFIX)) return null;
  return entry.source.slice(SOURCE_PREFIX.length);
}

/** Every mount this process sees, in the order they were made. */
export async function readMountTable(): Promise<MountTableEntry[]> {
  return parseMountTable(await readFile('/proc/self/mountinfo', 'utf8'));
}

/** Reads the format of proc_pid_mountinfo(5). */
export function parseMountTable(text: string): MountTableEntry[] {
  const entries: MountTableEntry[] = [];
  for (const line of text.split('\n')) {
    const separator = line.indexOf(' - ');
    if (separator < 0) continue;
    const directory = line.slice(0, separator).split(' ')[4];
    const [type, source] = line.slice(separator + 3).split(' ');
    if (directory === undefined || type === undefined || source === undefined) continue;
    entries.push({ directory: decodeOctal(directory), type, source: unescape(source) });
  }
  return entries;
}

/** Space, tab, newline and backslash are written as three octal digits. */
function decodeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_match, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

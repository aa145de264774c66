import { readFile } from 'node:fs/promises';

/** One line of /proc/self/mountinfo. */
export interface MountTableEntry {
  /** Device number of the file system, "major:minor"; unique among mounted file systems. */
  device: string;
  /** Absolute path of the mount point. */
  directory: string;
  /** For example "fuse.shoal". */
  type: string;
}

/** The mounts this process sees, in the order they were made. Touches none of them. */
export async function readMountTable(): Promise<MountTableEntry[]> {
  const entries: MountTableEntry[] = [];
  for (const line of (await readFile('/proc/self/mountinfo', 'latin1')).split('\n')) {
    const fields = line.split(' ');
    const device = fields[2];
    const directory = fields[4];
    const type = fields[fields.indexOf('-') + 1];
    if (device === undefined || directory === undefined || type === undefined) continue;
    entries.push({ device, directory: unescapePath(directory), type });
  }
  return entries;
}

/** The topmost mount on a directory. */
export function mountAt(
  table: readonly MountTableEntry[],
  directory: string,
): MountTableEntry | undefined {
  return table.findLast((entry) => entry.directory === directory);
}

/** Blank, tab, newline and backslash are written as three octal digits; bytes become the text Node's paths are. */
function unescapePath(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

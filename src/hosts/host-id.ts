import z32 from 'z32';

/** A host's id as people see it: as `shoal host` prints it. */
export function formatHostId(id: Buffer): string {
  return z32.encode(id);
}

/** Enough of it for a line in a log. */
export function shortHostId(id: Buffer): string {
  return formatHostId(id).slice(0, 8);
}

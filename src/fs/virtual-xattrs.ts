/**
 * Extended attributes that a mount makes up: what is here of a file, and what it is. They are read by name and listed
 * nowhere, so that no program copies them; nobody can set them. They never wait for the network.
 */
import type { Answer, Caller } from '../../mount/file-system.js';
import { DamagedError } from '../errors.js';
import type { ContentSummary } from './content-summary.js';
import { blocksOfFile } from './file-health.js';
import { summarizeFile } from './file-summary.js';
import type { Inode } from './inode.js';
import { withMemory } from './not-in-memory.js';
import { PosixError } from './posix-error.js';
import type { Volume } from './volume.js';

const PREFIX = 'user.shoal.';
const OF_CONTENT = new Map<string, (summary: ContentSummary) => string>([
  ['local', ({ localBytes, bytes }) => `${localBytes}/${bytes}`],
  ['hash', ({ hash }) => hash],
  ['peers', ({ peers }) => String(peers)],
]);

/** Whether no stored attribute has such a name. */
export function isVirtual(name: string): boolean {
  return name.startsWith(PREFIX);
}

/** Throws PosixError ENODATA for what there is not. */
export function virtualXattr(
  volume: Volume,
  ino: number,
  name: string,
  caller: Caller,
): Answer<Buffer> {
  const what = name.slice(PREFIX.length);
  if (what === 'version') return Buffer.from(String(volume.version()));
  const show = OF_CONTENT.get(what);
  if (show === undefined && what !== 'health') throw new PosixError('ENODATA');
  const found = withMemory(() => volume.table.need(ino), caller);
  const answer = async (inode: Inode): Promise<Buffer> => {
    if (!inode.isFile) throw new PosixError('ENODATA');
    if (isUncommitted(inode)) {
      if (what === 'local') return Buffer.from(`${inode.size}/${inode.size}`);
      throw new PosixError('ENODATA');
    }
    if (show === undefined) return await healthOf(volume, inode);
    const summary = await summarize(volume, inode);
    // Whose records are not here, cannot be read here.
    if (summary === null && what === 'local') return Buffer.from(`0/${inode.size}`);
    if (summary === null) throw new PosixError('ENODATA');
    return Buffer.from(show(summary));
  };
  return found instanceof Promise ? found.then(answer) : answer(found);
}

/** Throws PosixError ENODATA for a drive that no hosts keep, or that another machine writes. */
async function healthOf(volume: Volume, inode: Inode): Promise<Buffer> {
  const { health } = volume;
  const text = health && (await health(await blocksOfFile(volume.table.viewOf(inode), inode)));
  if (text === null) throw new PosixError('ENODATA');
  return Buffer.from(text);
}

/** Its content is on its way to the log: it has no hash yet, and nobody else has it. */
function isUncommitted({ dirty, committing, data, inline }: Inode): boolean {
  return inline === null && (dirty || committing > 0 || (data?.memorySegments.size ?? 0) > 0);
}

/** Null when the records of the content are not all here. Throws PosixError EIO for a damaged one. */
async function summarize(volume: Volume, inode: Inode): Promise<ContentSummary | null> {
  try {
    const view = volume.table.viewOf(inode);
    return await summarizeFile(volume.content, view, inode.ino, inode);
  } catch (error) {
    if (error instanceof DamagedError) throw new PosixError('EIO');
    throw error;
  }
}

/** The names of a directory, or one file, for people: what each is, and how much of it is here. Never waits for the network. */
import type { ContentStore } from '../content/content-store.js';
import { DamagedError, UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import { decodeEntry, type EntryRecord, entryNameOfKey } from '../tree/entry-record.js';
import { decodeInode, type InodeRecord } from '../tree/inode-record.js';
import { entryKey, inodeKey, nameOfKey, RecordKind, rangeOfInode } from '../tree/keys.js';
import type { Head, Tree, TreeReadOptions, TreeView } from '../tree/tree.js';
import { namesOfPath, noSuchPath, pathOfNames } from './drive-path.js';
import { summarizeFile } from './file-summary.js';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from './inode.js';
import { readCommit } from './read-commit.js';
import { findPath } from './subtree.js';

export interface ListRequest {
  /** Within the drive. */
  path: string;
  /** Tell of each name what it leads to. */
  details: boolean;
  /** Go on behind this name, in this state of the tree: as the page before said. */
  next?: ListPosition | undefined;
  signal?: AbortSignal | undefined;
}

export interface ListPosition {
  head: Head;
  /** One character per byte. */
  after: string;
}

export interface ListPage {
  /** The version that is listed. */
  version: number;
  entries: ListedEntry[];
  /** Null at the end. */
  next: ListPosition | null;
  /** Why names are left out; null when none are. */
  problem: ListProblem | null;
}

export interface ListProblem {
  /** Else they are only not on this machine. */
  isDamaged: boolean;
  text: string;
}

export interface ListedEntry {
  /** One character per byte. */
  name: string;
  /** `S_IFMT` part of the mode. */
  type: number;
  /** Only where it was asked for. */
  details?: ListedDetails | 'missing' | 'damaged';
}

/** As `stat` and the extended attributes `user.shoal.*` of a mount show them. */
export interface ListedDetails {
  mode: number;
  /** Bytes; of a directory the number of its names. */
  size: number;
  mtimeSec: number;
  mtimeNsec: number;
  /** Of a symbolic link, one character per byte. */
  target: string | null;
  /** Bytes that can be read without a peer; null for what is no file. */
  localBytes: number | null;
  /** Null, too, when the records of the content are not all here. */
  hash: string | null;
  /** Connected peers that have all of it; null like `hash`. */
  peers: number | null;
}

/**
 * A page of what a path leads to at a head: names in the order of their bytes. Follows no symbolic links.
 * Throws UsageError, NotFoundError, DamagedError, InterruptedError, StoreError, and UnavailableError where the directories
 * that lead there are not on this machine.
 */
export async function listDirectory(
  tree: Pick<Tree, 'at'>,
  content: ContentStore,
  head: Head,
  request: ListRequest,
): Promise<ListPage> {
  const names = namesOfPath(request.path);
  const { next } = request;
  const goesOn = next !== undefined && next.head.fork === head.fork;
  const at = goesOn && next.head.length <= head.length ? next.head : head;
  const options: TreeReadOptions = { localOnly: true, signal: request.signal };
  const lister = new Lister(tree.at(at), content, request, options);
  return await lister.run(names, next?.after ?? null, at);
}

class Lister {
  readonly #view: TreeView;
  readonly #content: ContentStore;
  readonly #request: ListRequest;
  readonly #options: TreeReadOptions;

  constructor(
    view: TreeView,
    content: ContentStore,
    request: ListRequest,
    options: TreeReadOptions,
  ) {
    this.#view = view;
    this.#content = content;
    this.#request = request;
    this.#options = options;
  }

  async run(names: readonly string[], after: string | null, head: Head): Promise<ListPage> {
    const { version } = await readCommit(this.#view, this.#options);
    const top = await this.#find(names);
    const page: ListPage = { version, entries: [], next: null, problem: null };
    if (top.type === S_IFDIR) await this.#addNames(page, top.ino, after, head);
    else page.entries.push(await this.#entry(names.at(-1) ?? '/', top));
    return page;
  }

  async #find(names: readonly string[]): Promise<EntryRecord> {
    const path = pathOfNames(names);
    try {
      const found = await findPath(this.#view, names, this.#options);
      if (found !== null) return found;
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      throw new UnavailableError(
        `Cannot list '${path}': what leads there is not on this machine; look at it in a mount, or 'shoal pin' it`,
        { cause: error },
      );
    }
    throw noSuchPath(names);
  }

  async #addNames(page: ListPage, ino: number, after: string | null, head: Head): Promise<void> {
    const { from, to } = rangeOfInode(RecordKind.entry, ino);
    const first = after === null ? from : Buffer.concat([entryKey(ino, after), Buffer.of(0)]);
    let bytes = 0;
    try {
      for await (const { key, value } of this.#view.range(first, to, this.#options)) {
        this.#request.signal?.throwIfAborted();
        const last = page.entries.at(-1);
        const isFull = page.entries.length >= limits.list_page_names_max;
        if (last !== undefined && (isFull || bytes >= limits.list_page_bytes_max)) {
          page.next = { head, after: last.name };
          return;
        }
        const found = decodedOr(null, () => ({ name: entryNameOfKey(key), ...decodeEntry(value) }));
        if (found === null) {
          const text = `the record of name ${JSON.stringify(nameOfKey(key))} is damaged`;
          page.problem = { isDamaged: true, text };
          continue;
        }
        const entry = await this.#entry(found.name, found);
        page.entries.push(entry);
        bytes += JSON.stringify(entry).length;
      }
    } catch (error) {
      if (error instanceof UnavailableError) {
        const text = 'the other names of the directory are not on this machine yet';
        page.problem = { isDamaged: false, text };
      } else if (error instanceof DamagedError) {
        page.problem = { isDamaged: true, text: error.message };
      } else throw error;
    }
  }

  async #entry(name: string, { ino, type }: EntryRecord): Promise<ListedEntry> {
    if (!this.#request.details) return { name, type };
    try {
      const bytes = await this.#view.get(inodeKey(ino), this.#options);
      if (bytes === null) return { name, type, details: 'damaged' };
      return { name, type, details: await this.#details(ino, decodeInode(ino, bytes)) };
    } catch (error) {
      if (error instanceof UnavailableError) return { name, type, details: 'missing' };
      if (error instanceof DamagedError) return { name, type, details: 'damaged' };
      throw error;
    }
  }

  async #details(ino: number, record: InodeRecord): Promise<ListedDetails> {
    const { mode, size, mtimeSec, mtimeNsec, inline } = record;
    const type = mode & S_IFMT;
    const isFile = type === S_IFREG;
    const { signal } = this.#request;
    const summary = isFile
      ? await summarizeFile(this.#content, this.#view, ino, record, signal)
      : null;
    return {
      mode,
      size,
      mtimeSec,
      mtimeNsec,
      target: type === S_IFLNK ? (inline?.toString('latin1') ?? null) : null,
      // Whose records are not here, cannot be read here.
      localBytes: isFile ? (summary?.localBytes ?? 0) : null,
      hash: summary?.hash ?? null,
      peers: summary?.peers ?? null,
    };
  }
}

function decodedOr<T, U>(otherwise: U, decode: () => T): T | U {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DamagedError) return otherwise;
    throw error;
  }
}

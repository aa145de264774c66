/** A drive's file system in this process: real store, real logs, no mount. */
import type Corestore from 'corestore';
import type Hypercore from 'hypercore';
import type { Caller } from '../../../mount/file-system.js';
import { ChunkLog } from '../../../src/content/chunk-log.js';
import { Chunker, defaultChunkerParameters } from '../../../src/content/chunker.js';
import { storeSyncOf } from '../../../src/drive/drive-logs.js';
import { DriveFileSystem } from '../../../src/fs/drive-file-system.js';
import { initialChanges } from '../../../src/fs/initial-tree.js';
import type { Journal } from '../../../src/fs/journal-writer.js';
import { createEncryptionProvider } from '../../../src/log/encryption.js';
import type { SpaceGuard } from '../../../src/log/space-guard.js';
import { HyperbeeTree } from '../../../src/tree/hyperbee-tree.js';
import { FORMAT_VERSION } from '../../../src/tree/superblock.js';
import { openStore } from '../../support/open-store.js';

const SECRET = Buffer.alloc(32, 7);
/** Of the chunks' hashes. */
export const HASH_KEY = Buffer.alloc(32, 4);

/** Root, and never interrupted. */
export const caller: Caller = {
  uid: 0,
  gid: 0,
  pid: 1,
  get signal() {
    return new AbortController().signal;
  },
};

export interface OpenedFileSystem {
  fileSystem: DriveFileSystem;
  tree: HyperbeeTree;
  content: ChunkLog;
  store: Corestore;
  treeCore: Hypercore;
  contentCore: Hypercore;
  /** Opens another session of the tree's log. */
  openTreeLog(): Hypercore;
  lines: string[];
  /** Commits and closes everything but the folder. */
  close(): Promise<void>;
}

export interface OpenOptions {
  /** Called in place of syncing the store. */
  sync?: () => Promise<void>;
  /** Where fsync notes what is not committed yet. */
  journal?: Journal;
  deadlineMs?: number;
  /** Whether chunks are compressed where that is worth it. */
  compress?: boolean;
  /** Refuses to store data. */
  spaceGuard?: SpaceGuard;
  /** Of a drive that is made. */
  formatVersion?: number;
  /** Called with the tree before the file system is opened. */
  onTree?: (tree: HyperbeeTree) => void;
}

/** Opens the drive in `folder`, making it first when it is not there. */
export async function openFileSystem(
  folder: string,
  options: OpenOptions = {},
): Promise<OpenedFileSystem> {
  const { deadlineMs = 1000 } = options;
  const store = openStore(folder);
  await store.ready();
  const encryption = createEncryptionProvider(SECRET);
  const treeCore = store.get({ name: 'tree', encryption });
  const contentCore = store.get({ name: 'content', encryption });
  await Promise.all([treeCore.ready(), contentCore.ready()]);
  const tree = await HyperbeeTree.open({ core: treeCore, deadlineMs });
  if (tree.head.length === 0) {
    await tree.write(
      initialChanges({
        superblock: {
          formatVersion: options.formatVersion ?? FORMAT_VERSION,
          driveId: Buffer.alloc(16, 1),
          chunker: defaultChunkerParameters,
          writers: [{ treeKey: treeCore.key as Buffer, contentKey: contentCore.key as Buffer }],
        },
        uid: 0,
        gid: 0,
        nowMs: Date.now(),
      }),
    );
  }
  const content = await ChunkLog.open({
    core: contentCore,
    writer: 0,
    chunker: new Chunker(defaultChunkerParameters, Buffer.alloc(32, 3)),
    hashKey: HASH_KEY,
    compress: options.compress ?? false,
    deadlineMs,
    ...(options.spaceGuard && { spaceGuard: options.spaceGuard }),
  });
  options.onTree?.(tree);
  const storeSync = storeSyncOf(store);
  const lines: string[] = [];
  const fileSystem = await DriveFileSystem.open({
    tree,
    content,
    sync: options.sync ?? (() => storeSync.sync()),
    journal: options.journal ?? null,
    readOnly: false,
    mountUid: 0,
    mountGid: 0,
    numericOwner: true,
    storeDirectory: folder,
    log: (line) => lines.push(line),
  });
  return {
    fileSystem,
    tree,
    content,
    store,
    treeCore,
    contentCore,
    openTreeLog: () => store.get({ name: 'tree', encryption }),
    lines,
    async close() {
      await fileSystem.close();
      await content.close();
      await tree.close();
      await contentCore.close();
      await storeSync.close();
      await store.close();
    },
  };
}

/** A file that a program has open. */
export interface OpenFile {
  ino: number;
  handle: number;
}

const O_RDWR = 2;
const READ_BYTES = 1 << 20;

/** Makes a file in the root directory. */
export async function create(fileSystem: DriveFileSystem, name: string): Promise<OpenFile> {
  const made = await fileSystem.create(1, name, 0o100644, O_RDWR, caller);
  return { ino: made.entry.attributes.ino, handle: made.open.handle };
}

/** All that is in a file. */
export async function contentOf(
  fileSystem: DriveFileSystem,
  { ino, handle }: OpenFile,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = 0; ; at += READ_BYTES) {
    const answer = await fileSystem.read(ino, handle, at, READ_BYTES, caller);
    const piece = Buffer.concat([answer].flat());
    pieces.push(piece);
    if (piece.length < READ_BYTES) return Buffer.concat(pieces);
  }
}

/** The store of a drive and the logs in it. */
import { join } from 'node:path';
import Corestore from 'corestore';
import Hypercore from 'hypercore';
import CoreStorage from 'hypercore-storage';
import { StoreError, UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import type { LogEncryption } from '../log/encryption.js';
import { createEncryptionProvider } from '../log/encryption.js';
import { asShoalError } from '../log/store-errors.js';
import { StoreSync } from '../log/store-sync.js';
import { syncDirectory, syncFile } from '../log/sync-file.js';
import { cacheTreeNodes } from '../log/tree-node-cache.js';
import { openValues } from '../log/values/after-power-loss.js';
import { keepValuesInFiles, valuesOf } from '../log/values/value-database.js';
import type { Capability } from './capability.js';
import type { WriterKeys } from './key-derivation.js';
import { deriveEncryptionSecret, deriveWriterKeys } from './key-derivation.js';
import type { LogLengths } from './lease-messages.js';
import type { CachePlan } from './local-cache.js';
import { finishReplacing } from './store-replacing.js';

/** What a capability that can read yields. */
export interface DriveKeys {
  treeLogKey: Buffer;
  readSecret: Buffer;
  /** Null without the write key. */
  writer: WriterKeys | null;
}

/** The keys behind a capability. A host's has none of them. */
export function driveKeysOf(capability: Exclude<Capability, { type: 'host' }>): DriveKeys {
  if (capability.type === 'read') {
    const { treeLogKey, readSecret } = capability;
    return { treeLogKey, readSecret, writer: null };
  }
  const writer = deriveWriterKeys(capability.seed);
  return { treeLogKey: writer.treeLog.key, readSecret: writer.readSecret, writer };
}

/**
 * Measured: with the library's write buffer of 64 MiB a mount that writes holds 100 MB more memory, and after a full
 * disk RocksDB wants that much free space before it goes on. RocksDB would also write the oldest quarter of all blocks
 * anew whenever it compacts, although nothing is ever overwritten here: the space of cleared blocks is taken back when
 * blocks were cleared.
 */
const STORAGE_OPTIONS = {
  writeBufferSize: limits.store_write_buffer_bytes,
  blobGarbageCollectionAgeCutOff: 0,
  maxOpenFiles: limits.store_open_files_max,
};

/**
 * The library writes the file by which it knows a copied store from the original and does not sync it. A loss of power
 * could leave it empty, and then the store looks like a copy. Where there is none, the next open makes one.
 */
async function syncIdentity(directory: string): Promise<void> {
  try {
    await syncFile(join(directory, 'CORESTORE'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await syncDirectory(directory);
}

/**
 * The database of a store, and its value files: call `openValues` when it is ready, before its logs are opened. `mayBeCopy`:
 * also of one that was copied from another place. `cache`: it is to be bounded.
 */
export function openStorage(
  directory: string,
  mayBeCopy: boolean,
  cache: CachePlan | null = null,
): CoreStorage {
  const bounded =
    cache === null
      ? {}
      : { writeBufferSize: cache.writeBufferBytes, blobFileSize: cache.blobFileBytes };
  const storage = new CoreStorage(directory, {
    ...STORAGE_OPTIONS,
    ...bounded,
    allowBackup: mayBeCopy,
  });
  keepValuesInFiles(storage, cache?.blobFileBytes);
  return storage;
}

/** fsync for a store that {@link openStorage} opened. */
export function storeSyncOf({ storage }: Corestore): StoreSync {
  return new StoreSync(storage.path, () => storage.db.flush(), valuesOf(storage).files);
}

/** Sessions of the logs of one drive in one store. */
export class DriveLogs {
  readonly store: Corestore;
  readonly keys: DriveKeys;
  readonly #encryption: LogEncryption;
  readonly #treeEncryption: LogEncryption;

  private constructor(store: Corestore, keys: DriveKeys) {
    this.store = store;
    this.keys = keys;
    const secret = deriveEncryptionSecret(keys.readSecret);
    this.#encryption = createEncryptionProvider(secret);
    this.#treeEncryption = createEncryptionProvider(secret, false);
  }

  /**
   * Opens the store. `mayBeCopy`: a copy of the folder is fine, because nothing is appended here. Throws StoreError.
   */
  static async open(
    directory: string,
    keys: DriveKeys,
    mayBeCopy: boolean,
    cache: CachePlan | null = null,
  ): Promise<DriveLogs> {
    await finishReplacing(directory);
    const storage = openStorage(directory, mayBeCopy, cache);
    const store = new Corestore(storage);
    cacheTreeNodes(store);
    try {
      await store.ready();
      await openValues(storage);
      await syncIdentity(directory);
    } catch (error) {
      // A store that fails leaves its database open. What that says is the same again.
      await storage.close().catch(() => undefined);
      if ((error as NodeJS.ErrnoException).code === 'DEVICE_FILE') {
        throw new StoreError(
          `Cannot open the store '${directory}': it was copied or restored from another place, so it may lack what was written since; join the drive with its key under a new name`,
          { cause: error },
        );
      }
      throw asShoalError(error, `open the store '${directory}'`);
    }
    return new DriveLogs(store, keys);
  }

  /**
   * Makes the writer's logs, empty, in a new store. Without their signing keys: Hypercore writes a key with which it
   * makes a log to the store, where it is for everyone to read. Throws StoreError.
   */
  async create(writer: WriterKeys): Promise<void> {
    try {
      for (const { key, manifest } of [writer.treeLog, writer.contentLog]) {
        const core = this.store.get({ key, manifest });
        await core.ready();
        await core.close();
      }
    } catch (error) {
      throw asShoalError(error, 'make the logs of the drive');
    }
  }

  /** A session of the tree's log. */
  tree(writable: boolean): Hypercore {
    const { writer, treeLogKey } = this.keys;
    const encryption = this.#treeEncryption;
    if (!writable || writer === null) {
      return this.store.get({ key: treeLogKey, encryption, writable: false });
    }
    const { key, keyPair, manifest } = writer.treeLog;
    return this.store.get({ key, keyPair, manifest, encryption });
  }

  /** A session of a chunk log. */
  content(key: Buffer, writable: boolean): Hypercore {
    const { writer } = this.keys;
    const encryption = this.#encryption;
    if (!writable || writer === null || !key.equals(writer.contentLog.key)) {
      return this.store.get({ key, encryption, writable: false });
    }
    const { keyPair, manifest } = writer.contentLog;
    return this.store.get({ key, keyPair, manifest, encryption });
  }

  /** Lengths of both logs as they are here. */
  async lengths(contentKey: Buffer): Promise<LogLengths> {
    const tree = this.tree(false);
    const content = this.content(contentKey, false);
    try {
      await Promise.all([tree.ready(), content.ready()]);
      return {
        treeFork: tree.fork,
        treeLength: tree.length,
        contentFork: content.fork,
        contentLength: content.length,
      };
    } finally {
      await Promise.all([tree.close(), content.close()]);
    }
  }

  /**
   * Cuts both logs and starts a new fork of them, `fork`. For logs that may have lost their newest blocks to a loss of power:
   * nothing else may ever be signed under a number that a peer has another block for. A log that has another fork than
   * `lengths` says was cut by an attempt that did not come to its end, and stays as it is. Throws StoreError.
   */
  async continueUnderNewFork(contentKey: Buffer, lengths: LogLengths, fork: number): Promise<void> {
    const content = this.content(contentKey, true);
    const tree = this.tree(true);
    try {
      await Promise.all([content.ready(), tree.ready()]);
      // Both get the same number, the chunk log first: a reader of the tree knows by it which chunks are meant.
      const { contentFork, contentLength, treeFork, treeLength } = lengths;
      const cut = (core: Hypercore, ofFork: number, length: number): Promise<void> =>
        core.truncate(core.fork === ofFork ? length : core.length, fork);
      await cut(content, contentFork, contentLength);
      await cut(tree, treeFork, treeLength);
    } catch (error) {
      throw asShoalError(error, 'start a new fork');
    } finally {
      await Promise.all([content.close(), tree.close()]);
    }
  }

  /**
   * Waits until both logs have at least these lengths, for a copy that is to append to them.
   * Throws UnavailableError after the deadline.
   */
  async reach(contentKey: Buffer, lengths: LogLengths, deadlineMs: number): Promise<void> {
    // Nothing is signed in an empty log, so nobody can show another one its fork.
    if (lengths.contentLength === 0) await this.#startEmpty(contentKey, lengths.contentFork);
    const tree = this.tree(false);
    const content = this.content(contentKey, false);
    try {
      await Promise.all([
        reachLength(tree, lengths.treeFork, lengths.treeLength, deadlineMs),
        reachLength(content, lengths.contentFork, lengths.contentLength, deadlineMs),
      ]);
    } finally {
      await Promise.all([tree.close(), content.close()]);
    }
  }

  async #startEmpty(contentKey: Buffer, fork: number): Promise<void> {
    const content = this.content(contentKey, true);
    try {
      await content.ready();
      if (content.fork < fork) await content.truncate(0, fork);
    } finally {
      await content.close();
    }
  }
}

async function reachLength(
  core: Hypercore,
  fork: number,
  length: number,
  deadlineMs: number,
): Promise<void> {
  await core.ready();
  const isReached = (): boolean => core.fork === fork && core.length >= length;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new UnavailableError('Cannot complete the logs: no peer delivered their end')),
      deadlineMs,
    );
  });
  try {
    while (!isReached()) {
      const changed = new Promise<void>((resolve) => {
        core.once('append', resolve);
        core.once('truncate', resolve);
      });
      // Asks the peers; what they announce later ends the wait, too.
      core.update({ wait: true }).catch(() => undefined);
      if (isReached()) return;
      await Promise.race([changed, late]);
    }
  } finally {
    clearTimeout(timer);
    late.catch(() => undefined);
  }
}

/** What peers of the drive find each other by: 32 bytes, a hash of the tree log's key. */
export function topicOf(keys: DriveKeys): Buffer {
  return Hypercore.discoveryKey(keys.treeLogKey);
}

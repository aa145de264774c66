import type {
  Answer,
  AttributeChanges,
  Attributes,
  ByteName,
  Caller,
  DirectorySink,
  Entry,
  FileSystem,
  Ino,
  KernelNotifier,
  MountParameters,
  NegativeEntry,
  OpenAnswer,
  TimedAttributes,
} from '../../../mount/file-system.js';
import { ROOT_INO } from '../../../mount/file-system.js';
import { ErrnoError, NoOpFileSystem, plainAttributes } from './no-op-file-system.js';

const EINTR = 4;
const ENOENT = 2;
const EEXIST = 17;
const EFBIG = 27;
const ENODATA = 61;
const TIMEOUT_SEC = 3600;
/** The fuzzer asks for files of any size. */
const FILE_BYTES_MAX = 64 << 20;

interface Node {
  attributes: Attributes;
  data: Buffer;
  children: Map<ByteName, Ino> | null;
}

/**
 * Files in memory, for tests of a driver: directories and regular files, and files to wait on. Tests reach into it
 * with `put`, `remove` and `contentOf`. Reads of a file named `hang` or `hang-direct` wait for the caller's interrupt; the
 * latter bypasses the kernel's page cache. A file named `later` answers every read in a later turn.
 */
export class MemoryFileSystem extends NoOpFileSystem {
  override readonly wantsWritebackCache: boolean;
  override readonly readOnly: boolean;
  override readonly wantsBirthTimes: boolean;
  kernel: KernelNotifier | null = null;
  parameters: MountParameters | null = null;
  stoppedCalls = 0;
  interruptedReads = 0;
  readonly lookups = new Map<Ino, number>();
  readonly #nodes = new Map<Ino, Node>();
  #nextIno = 2;
  #openReads = 0;
  #onHanging: (() => void)[] = [];

  constructor({ wantsWritebackCache = false, readOnly = false, wantsBirthTimes = false } = {}) {
    super();
    this.wantsWritebackCache = wantsWritebackCache;
    this.readOnly = readOnly;
    this.wantsBirthTimes = wantsBirthTimes;
    this.#nodes.set(ROOT_INO, {
      attributes: { ...plainAttributes(ROOT_INO, 0o40777, 4096), nlink: 2 },
      data: Buffer.alloc(0),
      children: new Map(),
    });
  }

  /** Makes or overwrites a file, without telling the kernel. Returns its inode number. */
  put(name: string, content: string | Buffer): Ino {
    const names = this.#childrenOf(ROOT_INO);
    const key = Buffer.from(name).toString('latin1');
    const ino = names.get(key) ?? this.#make(0o100666, 0, 0);
    names.set(key, ino);
    const node = this.#node(ino);
    const bytes = Buffer.from(content);
    // Of its own: what is made from a string may lie in a buffer that others share.
    node.data = Buffer.alloc(bytes.length);
    bytes.copy(node.data);
    node.attributes.size = bytes.length;
    return ino;
  }

  /** Removes a name, without telling the kernel. */
  remove(name: string): void {
    this.#childrenOf(ROOT_INO).delete(Buffer.from(name).toString('latin1'));
  }

  contentOf(name: string): Buffer {
    const ino = this.#childrenOf(ROOT_INO).get(Buffer.from(name).toString('latin1'));
    if (ino === undefined) throw new ErrnoError(ENOENT);
    return this.#node(ino).data;
  }

  attributesOf(name: string): Attributes {
    const ino = this.#childrenOf(ROOT_INO).get(Buffer.from(name).toString('latin1'));
    if (ino === undefined) throw new ErrnoError(ENOENT);
    return this.#node(ino).attributes;
  }

  /** Resolves when some read of `hang` waits. */
  whenHanging(): Promise<void> {
    if (this.#openReads > 0) return Promise.resolve();
    return new Promise((resolve) => this.#onHanging.push(resolve));
  }

  override start(kernel: KernelNotifier, parameters: MountParameters): void {
    this.kernel = kernel;
    this.parameters = parameters;
  }

  override stopped(): void {
    this.stoppedCalls++;
  }

  override lookup(parent: Ino, name: ByteName): Answer<Entry | NegativeEntry> {
    const ino = this.#childrenOf(parent).get(name);
    if (ino === undefined) return { attributes: null, entryTimeoutSec: TIMEOUT_SEC };
    return this.#counted(ino);
  }

  override forget(ino: Ino, count: number): void {
    this.lookups.set(ino, (this.lookups.get(ino) ?? 0) - count);
  }

  override getattr(ino: Ino): Answer<TimedAttributes> {
    return this.#entryOf(ino);
  }

  override setattr(ino: Ino, changes?: AttributeChanges): Answer<TimedAttributes> {
    const { attributes } = this.#node(ino);
    const { mode, uid, gid, size, atime, mtime } = changes ?? {};
    if (mode !== undefined) attributes.mode = (attributes.mode & 0o170000) | (mode & 0o7777);
    if (uid !== undefined) attributes.uid = uid;
    if (gid !== undefined) attributes.gid = gid;
    if (size !== undefined) this.#resize(ino, size);
    if (atime !== undefined) {
      const at = atime === 'now' ? { sec: 1, nsec: 0 } : atime;
      attributes.atimeSec = at.sec;
      attributes.atimeNsec = at.nsec;
    }
    if (mtime !== undefined) {
      const at = mtime === 'now' ? { sec: 1, nsec: 0 } : mtime;
      attributes.mtimeSec = at.sec;
      attributes.mtimeNsec = at.nsec;
    }
    return this.#entryOf(ino);
  }

  override open(ino: Ino, flags: number): Answer<OpenAnswer> {
    if (flags & 0o1000) this.#resize(ino, 0);
    return { handle: ino, directIo: ino === this.#inoOf('hang-direct') };
  }

  override create: FileSystem['create'] = (parent, name, mode, _flags, caller) => {
    const names = this.#childrenOf(parent);
    if (names.has(name)) throw new ErrnoError(EEXIST);
    const ino = this.#make(mode, caller.uid, caller.gid);
    names.set(name, ino);
    return { entry: this.#counted(ino), open: { handle: ino } };
  };

  override mkdir: FileSystem['mkdir'] = (parent, name, mode, caller) => {
    const names = this.#childrenOf(parent);
    if (names.has(name)) throw new ErrnoError(EEXIST);
    const ino = this.#make(0o40000 | mode, caller.uid, caller.gid);
    const node = this.#node(ino);
    node.children = new Map();
    node.attributes.nlink = 2;
    names.set(name, ino);
    return this.#counted(ino);
  };

  override unlink: FileSystem['unlink'] = (parent, name) => {
    if (!this.#childrenOf(parent).delete(name)) throw new ErrnoError(ENOENT);
  };

  override read(
    ino: Ino,
    _handle: number,
    offset: number,
    length: number,
    caller: Caller,
  ): Answer<Buffer | Buffer[]> {
    if (ino === this.#inoOf('hang') || ino === this.#inoOf('hang-direct'))
      return this.#hang(caller);
    const data = this.#node(ino).data.subarray(offset, offset + length);
    if (ino !== this.#inoOf('later')) return data;
    return new Promise((resolve) =>
      setTimeout(() => resolve([data.subarray(0, 1), data.subarray(1)]), 1),
    );
  }

  override write(ino: Ino, _handle: number, offset: number, data: Buffer): Answer<number> {
    const node = this.#node(ino);
    if (offset + data.length > node.data.length) this.#resize(ino, offset + data.length);
    data.copy(node.data, offset);
    return data.length;
  }

  override opendir(): Answer<OpenAnswer> {
    return { handle: 0, cacheDirectory: true };
  }

  override readdir(ino: Ino, _handle: number, offset: number, sink: DirectorySink): Answer<void> {
    const entries: [ByteName, Ino][] = [['.', ino], ['..', ROOT_INO], ...this.#childrenOf(ino)];
    for (const [index, [name, child]] of entries.entries()) {
      if (index < offset) continue;
      const entry = this.#entryOf(child);
      if (sink.plus) {
        if (!sink.addPlus(name, entry, index + 1)) return;
        if (index > 1) this.#counted(child);
      } else if (!sink.add(name, child, entry.attributes.mode, index + 1)) return;
    }
  }

  override getxattr: FileSystem['getxattr'] = () => {
    throw new ErrnoError(ENODATA);
  };

  #hang(caller: Caller): Promise<Buffer> {
    this.#openReads++;
    for (const wake of this.#onHanging.splice(0)) wake();
    return new Promise((_, reject) => {
      caller.signal.addEventListener('abort', () => {
        this.#openReads--;
        this.interruptedReads++;
        reject(new ErrnoError(EINTR));
      });
    });
  }

  #inoOf(name: ByteName): Ino | undefined {
    return this.#childrenOf(ROOT_INO).get(name);
  }

  #node(ino: Ino): Node {
    const node = this.#nodes.get(ino);
    if (node === undefined) throw new ErrnoError(ENOENT);
    return node;
  }

  #childrenOf(ino: Ino): Map<ByteName, Ino> {
    const { children } = this.#node(ino);
    if (children === null) throw new ErrnoError(20);
    return children;
  }

  #make(mode: number, uid: number, gid: number): Ino {
    const ino = this.#nextIno++;
    const attributes = { ...plainAttributes(ino, mode, 0), uid, gid };
    this.#nodes.set(ino, { attributes, data: Buffer.alloc(0), children: null });
    return ino;
  }

  #resize(ino: Ino, size: number): void {
    const node = this.#node(ino);
    if (size > FILE_BYTES_MAX) throw new ErrnoError(EFBIG);
    const { data } = node;
    if (size < data.length) data.fill(0, size);
    let { buffer } = data;
    if (size > buffer.byteLength) {
      // More than is asked for: the next append must not copy it all again.
      const grown = Buffer.alloc(Math.max(size, 2 * data.length));
      data.copy(grown);
      ({ buffer } = grown);
    }
    node.data = Buffer.from(buffer, 0, size);
    node.attributes.size = size;
  }

  #entryOf(ino: Ino): Entry {
    return {
      attributes: this.#node(ino).attributes,
      entryTimeoutSec: TIMEOUT_SEC,
      attributesTimeoutSec: TIMEOUT_SEC,
    };
  }

  #counted(ino: Ino): Entry {
    this.lookups.set(ino, (this.lookups.get(ino) ?? 0) + 1);
    return this.#entryOf(ino);
  }
}

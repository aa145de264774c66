/** The operations of the package, on paths, as operations of a file system, on inodes. */
import type { DirectorySink, FileSystem, Ino } from '../file-system.js';
import { byteName, bytesOf, exactText, listedName } from './byte-names.js';
import type { PackageOperations, PackageStat } from './fuse-native-package.js';
import type { OpenFile } from './open-files.js';
import { PathError } from './path-error.js';
import type { Place } from './path-resolver.js';
import type { Asker, Session } from './session.js';
import { packageStat, packageStatfs, shownIno, timeOf } from './stat.js';

const O_RDWR = 2;

/** In chown: leave it as it is. */
const UNCHANGED_ID = 0xffff_ffff;

export function operationsOf(session: Session): PackageOperations {
  return {
    init(done) {
      session.start();
      done(0);
    },
    ...inodeOperations(session),
    ...nameOperations(session),
    ...fileOperations(session),
    ...attributeOperations(session),
  };
}

type InodeOperations = Pick<
  PackageOperations,
  | 'getattr'
  | 'chmod'
  | 'chown'
  | 'utimens'
  | 'truncate'
  | 'readlink'
  | 'readdir'
  | 'fsyncdir'
  | 'statfs'
>;

function inodeOperations(session: Session): InodeOperations {
  const { fileSystem } = session;
  return {
    getattr(path, done) {
      const run = (caller: Asker) =>
        session.at(path, caller, (_ino, { attributes }) => packageStat(attributes));
      session.answer('getattr', run, done);
    },
    chmod(path, mode, done) {
      const run = (caller: Asker) =>
        session.at(path, caller, async (ino) => {
          await fileSystem.setattr(ino, { mode }, caller);
        });
      session.answer('chmod', run, done);
    },
    chown(path, uid, gid, done) {
      const changes = {
        ...(uid === UNCHANGED_ID ? {} : { uid }),
        ...(gid === UNCHANGED_ID ? {} : { gid }),
      };
      const run = (caller: Asker) =>
        session.at(path, caller, async (ino) => {
          await fileSystem.setattr(ino, changes, caller);
        });
      session.answer('chown', run, done);
    },
    utimens(path, atimeMs, mtimeMs, done) {
      const changes = { atime: timeOf(atimeMs), mtime: timeOf(mtimeMs) };
      const run = (caller: Asker) =>
        session.at(path, caller, async (ino) => {
          await fileSystem.setattr(ino, changes, caller);
        });
      session.answer('utimens', run, done);
    },
    truncate(path, size, done) {
      const run = (caller: Asker) =>
        session.at(path, caller, async (ino) => {
          await fileSystem.setattr(ino, { size }, caller);
        });
      session.answer('truncate', run, done);
    },
    readlink(path, done) {
      const run = (caller: Asker) =>
        session.at(path, caller, async (ino) => exactText(await fileSystem.readlink(ino, caller)));
      session.answer('readlink', run, done);
    },
    readdir(path, done) {
      const run = (caller: Asker) =>
        session.at(path, caller, (ino) => list(fileSystem, ino, caller));
      session.answer('readdir', run, (result, listing) =>
        done(result, listing?.names, listing?.stats),
      );
    },
    fsyncdir(path, dataOnly, _fd, done) {
      const run = (caller: Asker) =>
        session.at(path, caller, async (ino) => {
          const { handle } = await fileSystem.opendir(ino, 0, caller);
          try {
            await fileSystem.fsyncdir(ino, handle, dataOnly !== 0, caller);
          } finally {
            await fileSystem.releasedir(ino, handle);
          }
        });
      session.answer('fsyncdir', run, done);
    },
    statfs(path, done) {
      const run = (caller: Asker) =>
        session.at(path, caller, async (ino) =>
          packageStatfs(await fileSystem.statfs(ino, caller)),
        );
      session.answer('statfs', run, done);
    },
  };
}

/** All names at once: the package does not say where a reader continues. */
class Listing implements DirectorySink {
  readonly plus = false;
  readonly names: string[] = [];
  readonly stats: PackageStat[] = [];

  add(name: string, ino: Ino, type: number): boolean {
    this.names.push(listedName(name));
    this.stats.push({ mode: type, ino: shownIno(ino) });
    return true;
  }

  addPlus(): boolean {
    throw new Error('A listing without attributes was asked for');
  }
}

async function list(fileSystem: FileSystem, ino: Ino, caller: Asker): Promise<Listing> {
  const listing = new Listing();
  const { handle } = await fileSystem.opendir(ino, 0, caller);
  try {
    await fileSystem.readdir(ino, handle, 0, listing, caller);
  } finally {
    await fileSystem.releasedir(ino, handle);
  }
  return listing;
}

type NameOperations = Pick<
  PackageOperations,
  'mknod' | 'mkdir' | 'symlink' | 'link' | 'rename' | 'unlink' | 'rmdir'
>;

function nameOperations(session: Session): NameOperations {
  const { fileSystem, paths, hiddenFiles, openFiles } = session;

  /** libfuse hides a file that is open and shall go. Returns false when it is not open here, and so no such file. */
  async function hide(from: string, to: string, caller: Asker): Promise<boolean> {
    const place = await paths.placeOf(from, caller);
    const found = await paths.findAt(place, caller);
    try {
      const { ino } = found.attributes;
      if (!openFiles.isOpen(ino)) return false;
      await fileSystem.unlink(place.parent, place.name, caller);
      hiddenFiles.add(to, ino, place.parent);
      found.lookups = 0;
      return true;
    } finally {
      paths.letGo(found);
    }
  }

  /** Before the directory at a place goes. Throws ENOTEMPTY where a file that was deleted in it is still open. */
  async function checkNothingHidden(place: Place, caller: Asker): Promise<void> {
    if (hiddenFiles.isEmpty) return;
    const { attributes } = await fileSystem.lookup(place.parent, place.name, caller);
    if (attributes === null) return;
    fileSystem.forget(attributes.ino, 1);
    if (hiddenFiles.hasIn(attributes.ino)) throw new PathError('ENOTEMPTY');
  }

  return {
    mknod(path, mode, device, done) {
      const run = async (caller: Asker) => {
        const { parent, name } = await paths.placeOf(path, caller);
        const made = await fileSystem.mknod(parent, name, mode, device, caller);
        fileSystem.forget(made.attributes.ino, 1);
      };
      session.answer('mknod', run, done);
    },
    mkdir(path, mode, done) {
      const run = async (caller: Asker) => {
        const { parent, name } = await paths.placeOf(path, caller);
        const made = await fileSystem.mkdir(parent, name, mode, caller);
        fileSystem.forget(made.attributes.ino, 1);
      };
      session.answer('mkdir', run, done);
    },
    symlink(target, path, done) {
      const run = async (caller: Asker) => {
        const { parent, name } = await paths.placeOf(path, caller);
        const made = await fileSystem.symlink(parent, name, bytesOf(target), caller);
        fileSystem.forget(made.attributes.ino, 1);
      };
      session.answer('symlink', run, done);
    },
    link(from, to, done) {
      const run = (caller: Asker) =>
        session.at(from, caller, async (ino) => {
          const { parent, name } = await paths.placeOf(to, caller);
          await fileSystem.link(ino, parent, name, caller);
          fileSystem.forget(ino, 1);
        });
      session.answer('link', run, done);
    },
    rename(from, to, done) {
      const run = async (caller: Asker) => {
        if (hiddenFiles.isHiddenName(to) && (await hide(from, to, caller))) return;
        const old = await paths.placeOf(from, caller);
        const place = await paths.placeOf(to, caller);
        await checkNothingHidden(place, caller);
        await fileSystem.rename(old.parent, old.name, place.parent, place.name, 0, caller);
        paths.dropBelow(from);
        paths.dropBelow(to);
      };
      session.answer('rename', run, done);
    },
    unlink(path, done) {
      const run = async (caller: Asker) => {
        if (hiddenFiles.remove(path)) return;
        const { parent, name } = await paths.placeOf(path, caller);
        await fileSystem.unlink(parent, name, caller);
      };
      session.answer('unlink', run, done);
    },
    rmdir(path, done) {
      const run = async (caller: Asker) => {
        const place = await paths.placeOf(path, caller);
        await checkNothingHidden(place, caller);
        await fileSystem.rmdir(place.parent, place.name, caller);
        paths.dropBelow(path);
      };
      session.answer('rmdir', run, done);
    },
  };
}

type FileOperations = Pick<
  PackageOperations,
  'open' | 'create' | 'read' | 'write' | 'ftruncate' | 'flush' | 'release' | 'fsync'
>;

function fileOperations(session: Session): FileOperations {
  const { fileSystem, paths, hiddenFiles, openFiles } = session;

  /** Runs an operation on an open file. */
  async function on<T>(
    fd: number,
    caller: Asker,
    run: (file: OpenFile) => T | Promise<T>,
  ): Promise<T> {
    const file = openFiles.get(fd);
    caller.ino = file.ino;
    return await run(file);
  }

  return {
    open(path, flags, done) {
      const run = (caller: Asker) =>
        session.at(path, caller, async (ino, found) => {
          const { handle } = await fileSystem.open(ino, flags, caller);
          const { lookups } = found;
          found.lookups = 0;
          return openFiles.add({ ino, lookups, handle, flags });
        });
      session.answer('open', run, done);
    },
    // The package does not say with which flags.
    create(path, mode, done) {
      const run = async (caller: Asker) => {
        const { parent, name } = await paths.placeOf(path, caller);
        const { entry, open } = await fileSystem.create(parent, name, mode, O_RDWR, caller);
        const { ino } = entry.attributes;
        return openFiles.add({ ino, lookups: 1, handle: open.handle, flags: O_RDWR });
      };
      session.answer('create', run, done);
    },
    read(_path, fd, buffer, length, offset, done) {
      const run = (caller: Asker) =>
        on(fd, caller, async ({ ino, handle }) => {
          const answer = fileSystem.read(ino, handle, offset, length, caller);
          // What is answered at once has to be taken at once.
          const data = answer instanceof Promise ? await answer : answer;
          const pieces = Array.isArray(data) ? data : [data];
          let at = 0;
          for (const piece of pieces) at += piece.copy(buffer, at, 0, length - at);
          session.countRead(at);
          return at;
        });
      session.answer('read', run, (result, bytes = 0) => done(result < 0 ? result : bytes));
    },
    write(_path, fd, buffer, length, offset, done) {
      const run = (caller: Asker) =>
        on(fd, caller, async ({ ino, handle, flags }) => {
          const data = buffer.subarray(0, length);
          // The kernel drops set-user-id and set-group-id bits with a chmod of its own.
          const options = { fromPageCache: false, killSuidGid: false, openFlags: flags };
          const taken = await fileSystem.write(ino, handle, offset, data, options, caller);
          session.countWritten(taken);
          return taken;
        });
      session.answer('write', run, (result, bytes = 0) => done(result < 0 ? result : bytes));
    },
    ftruncate(_path, fd, size, done) {
      const run = (caller: Asker) =>
        on(fd, caller, async ({ ino, handle }) => {
          await fileSystem.setattr(ino, { size, handle }, caller);
        });
      session.answer('ftruncate', run, done);
    },
    flush:
      fileSystem.flush === undefined
        ? undefined
        : (_path, fd, done) => {
            const run = (caller: Asker) =>
              on(fd, caller, ({ ino, handle }) => fileSystem.flush?.(ino, handle, caller));
            session.answer('flush', run, done);
          },
    release(_path, fd, done) {
      const run = async () => {
        const { ino, lookups, handle, flags } = openFiles.remove(fd);
        await fileSystem.release(ino, handle, flags);
        if (lookups > 0) fileSystem.forget(ino, lookups);
        if (!openFiles.isOpen(ino)) hiddenFiles.removeInode(ino);
      };
      session.answer('release', run, done);
    },
    fsync(_path, dataOnly, fd, done) {
      const run = (caller: Asker) =>
        on(fd, caller, ({ ino, handle }) => fileSystem.fsync(ino, handle, dataOnly !== 0, caller));
      session.answer('fsync', run, done);
    },
  };
}

type AttributeOperations = Pick<
  PackageOperations,
  'getxattr' | 'setxattr' | 'listxattr' | 'removexattr'
>;

function attributeOperations(session: Session): AttributeOperations {
  const { fileSystem } = session;
  return {
    getxattr(path, name, _position, done) {
      const run = (caller: Asker) =>
        session.at(path, caller, (ino) => fileSystem.getxattr(ino, byteName(name), caller));
      session.answer('getxattr', run, done);
    },
    setxattr(path, name, value, _position, flags, done) {
      const run = (caller: Asker) =>
        session.at(path, caller, (ino) =>
          fileSystem.setxattr(ino, byteName(name), value, flags, caller),
        );
      session.answer('setxattr', run, done);
    },
    listxattr(path, done) {
      const run = (caller: Asker) =>
        session.at(path, caller, async (ino) =>
          (await fileSystem.listxattr(ino, caller)).map((name) =>
            Buffer.from(`${name}\0`, 'latin1'),
          ),
        );
      session.answer('listxattr', run, done);
    },
    removexattr(path, name, done) {
      const run = (caller: Asker) =>
        session.at(path, caller, (ino) => fileSystem.removexattr(ino, byteName(name), caller));
      session.answer('removexattr', run, done);
    },
  };
}

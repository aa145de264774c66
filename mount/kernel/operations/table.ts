import { OPCODE, OPCODE_MAX } from '../protocol/opcodes.js';
import * as attributes from './attribute-operations.js';
import * as directories from './directory-operations.js';
import * as files from './file-operations.js';
import * as names from './name-operations.js';
import { type Operation, refusedOperation } from './operation.js';
import * as session from './session-operations.js';
import * as xattrs from './xattr-operations.js';

/** Every operation of the protocol. The type asks for an entry per opcode: a missing one does not compile. */
const BY_NAME: Record<keyof typeof OPCODE, Operation> = {
  LOOKUP: names.lookup,
  FORGET: session.forget,
  GETATTR: attributes.getattr,
  SETATTR: attributes.setattr,
  READLINK: names.readlink,
  SYMLINK: names.symlink,
  MKNOD: names.mknod,
  MKDIR: names.mkdir,
  UNLINK: names.unlink,
  RMDIR: names.rmdir,
  RENAME: names.rename,
  LINK: names.link,
  OPEN: files.open,
  READ: files.read,
  WRITE: files.write,
  STATFS: session.statfs,
  RELEASE: files.release,
  FSYNC: files.fsync,
  SETXATTR: xattrs.setxattr,
  GETXATTR: xattrs.getxattr,
  LISTXATTR: xattrs.listxattr,
  REMOVEXATTR: xattrs.removexattr,
  FLUSH: files.flush,
  INIT: session.init,
  OPENDIR: directories.opendir,
  READDIR: directories.readdir,
  RELEASEDIR: directories.releasedir,
  FSYNCDIR: directories.fsyncdir,
  // Lock flags are not negotiated: the kernel keeps locks of one machine itself and does not ask.
  GETLK: refusedOperation('getlk'),
  SETLK: refusedOperation('setlk'),
  SETLKW: refusedOperation('setlkw'),
  // The mount has default_permissions: the kernel checks modes itself.
  ACCESS: refusedOperation('access'),
  CREATE: files.create,
  INTERRUPT: session.interrupt,
  // Only for file systems on a block device.
  BMAP: refusedOperation('bmap'),
  DESTROY: session.destroy,
  IOCTL: refusedOperation('ioctl'),
  // The kernel then says "always ready", as for any regular file.
  POLL: refusedOperation('poll'),
  NOTIFY_REPLY: session.notifyReply,
  BATCH_FORGET: session.batchForget,
  FALLOCATE: files.fallocate,
  READDIRPLUS: directories.readdirplus,
  RENAME2: names.rename2,
  LSEEK: files.lseek,
  COPY_FILE_RANGE: files.copyFileRange,
  // Direct access to the pages of a virtio device.
  SETUPMAPPING: refusedOperation('setupmapping'),
  REMOVEMAPPING: refusedOperation('removemapping'),
  SYNCFS: session.syncfs,
  TMPFILE: files.tmpfile,
  STATX: attributes.statx,
  COPY_FILE_RANGE_64: files.copyFileRange64,
};

/** What a kernel newer than this driver may send: answered ENOSYS, never silence. */
export const UNKNOWN_OPERATION: Operation = refusedOperation('unknown', true);

/** Operations by number, 0 to {@link OPCODE_MAX}. */
export const OPERATIONS: readonly Operation[] = (() => {
  const table = new Array<Operation>(OPCODE_MAX + 1).fill(UNKNOWN_OPERATION);
  for (const [name, opcode] of Object.entries(OPCODE)) {
    table[opcode] = BY_NAME[name as keyof typeof OPCODE];
  }
  return table;
})();

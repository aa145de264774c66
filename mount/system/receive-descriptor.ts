import { MountEnvironmentError } from '../errors.js';
import { lastErrno, receiveMessage, socketpair } from './libc.js';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
/** struct cmsghdr: u64 length, i32 level, i32 type; then the descriptor. */
const CONTROL_HEADER_BYTES = 16;

/** Two joined sockets that no child inherits unless it is handed one. */
export function openSocketPair(): { ours: number; theirs: number } {
  const fds = Buffer.alloc(8);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) !== 0) {
    throw new MountEnvironmentError(`Cannot open a pair of sockets: error ${lastErrno()}`);
  }
  return { ours: fds.readInt32LE(0), theirs: fds.readInt32LE(4) };
}

/**
 * Waits for a descriptor sent over a socket (SCM_RIGHTS); children do not inherit it. Null when the other end closed the
 * socket without sending one.
 */
export async function receiveDescriptor(socket: number): Promise<number | null> {
  const data = Buffer.alloc(1);
  const control = Buffer.alloc(CONTROL_HEADER_BYTES + 8);
  const bytes = await receiveMessage(
    socket,
    {
      msg_name: null,
      msg_namelen: 0,
      msg_iov: [{ iov_base: data, iov_len: data.length }],
      msg_iovlen: 1,
      msg_control: control,
      msg_controllen: control.length,
      msg_flags: 0,
    },
    MSG_CMSG_CLOEXEC,
  );
  if (bytes <= 0) return null;
  const isRights =
    control.readUInt32LE(0) === CONTROL_HEADER_BYTES + 4 &&
    control.readInt32LE(8) === SOL_SOCKET &&
    control.readInt32LE(12) === SCM_RIGHTS;
  return isRights ? control.readInt32LE(CONTROL_HEADER_BYTES) : null;
}

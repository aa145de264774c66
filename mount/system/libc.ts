import koffi from 'koffi';

/**
 * The few functions of the C library that Node does not offer. Each returns what C does: -1 for an error, whose number
 * {@link lastErrno} tells right after the call.
 */
const libc = koffi.load(null);

koffi.struct('shoal_iovec', { iov_base: 'void *', iov_len: 'size_t' });
koffi.struct('shoal_msghdr', {
  msg_name: 'void *',
  msg_namelen: 'uint32_t',
  msg_iov: 'shoal_iovec *',
  msg_iovlen: 'size_t',
  msg_control: 'void *',
  msg_controllen: 'size_t',
  msg_flags: 'int',
});

export interface MessageHeader {
  msg_name: null;
  msg_namelen: number;
  msg_iov: { iov_base: Buffer; iov_len: number }[];
  msg_iovlen: number;
  msg_control: Buffer;
  msg_controllen: number;
  msg_flags: number;
}

/** read(2) on the calling thread: only for descriptors that do not block. */
export const readNow: (fd: number, buffer: Buffer, bytes: number) => number = libc.func(
  'intptr_t read(int, void *, size_t)',
);

/** write(2) on the calling thread. */
export const writeNow: (fd: number, buffer: Buffer, bytes: number) => number = libc.func(
  'intptr_t write(int, void *, size_t)',
);

/** socketpair(2); the two descriptors are written into the buffer. */
export const socketpair: (domain: number, type: number, protocol: number, fds: Buffer) => number =
  libc.func('int socketpair(int, int, int, void *)');

const recvmsg = libc.func('intptr_t recvmsg(int, _Inout_ shoal_msghdr *, int)');

/** recvmsg(2) in the thread pool. */
export function receiveMessage(fd: number, message: MessageHeader, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    recvmsg.async(fd, message, flags, (error: Error | null, result: number) =>
      error === null ? resolve(result) : reject(error),
    );
  });
}

const fcntlNative = libc.func('int fcntl(int, int, ...)');

/** fcntl(2) with a number. */
export function fcntl(fd: number, command: number, argument: number): number {
  return fcntlNative(fd, command, 'int', argument);
}

/** umount2(2). */
export const umount2: (path: string, flags: number) => number = libc.func(
  'int umount2(const char *, int)',
);

/** _exit(2): ends the process without waiting for its threads. */
export const exitNow: (code: number) => void = libc.func('void _exit(int)');

/** The errno of the last call on this thread. */
export function lastErrno(): number {
  return koffi.errno();
}

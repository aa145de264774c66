/** What a mount by the driver fuse-native cannot do. */

/** A row of the table in docs/drivers.md. */
export interface KnownLimit {
  what: string;
  why: string;
  /** Behaviours of the conformance library that fail because of it. */
  behaviours: readonly string[];
}

const FALLOCATE = [
  'allocating grows the file with zeros and takes space',
  'allocating over data changes no byte',
  'KEEP_SIZE allocates behind the end and leaves the size',
  'space behind the end goes with a truncation, also to the size the file has',
  'a punched hole reads zeros, keeps the size and frees space',
  'a hole may start and end anywhere, and reach behind the end',
  'a hole that reaches the end leaves what is reserved behind the last block',
  'a zeroed range reads zeros and may grow the file',
  'a write into a hole that was punched is read back',
  'changes set mtime; what cannot be is refused',
].map((name) => `fallocate: ${name}`);

const RANDOM = [
  '2000 on a file of up to 3000 bytes, seed 1',
  '1500 on a file of up to 200000 bytes, seed 2',
  '600 on a file of up to 5242880 bytes, seed 3',
].map((name) => `random operations: ${name}`);

export const FUSE_NATIVE_LIMITS: readonly KnownLimit[] = [
  {
    what: 'names, targets of symbolic links and names of extended attributes that are no UTF-8',
    why: 'the package turns them into text; they are listed with U+FFFD and refused with EILSEQ, as is U+FFFD itself',
    behaviours: [
      'names: every byte but the slash and NUL may be in a name',
      'names: names that are no UTF-8 can be renamed, linked to and removed',
      'links: symbolic links keep their target byte for byte',
      'extended attributes: names may be no UTF-8',
    ],
  },
  {
    what: 'the owner of new files is always who mounted; so --allow-other is refused, unless the mount is read-only',
    why: 'the package does not say who asks, and others must not make files of root',
    behaviours: [
      'permissions: new files, directories, links and fifos belong to who makes them',
      'permissions: only the owner changes mode, owner and set times',
      "permissions: in a sticky directory one removes only what is one's own",
      'permissions: in a set-group-id directory the group is inherited, by directories with the bit',
      'permissions: root does what it wants',
    ],
  },
  {
    what: 'a set-group-id bit without execution by the group after a write by a stranger: it stays',
    why: 'libfuse 2 does not know HANDLE_KILLPRIV_V2; the bit has no effect on such a file',
    behaviours: [
      'set-id bits: without execution by the group, a stranger takes the second bit away, root does not',
    ],
  },
  {
    what: 'times finer than a millisecond, and before 1970',
    why: 'the package carries unsigned milliseconds; older times are kept, but shown as 1970',
    behaviours: [
      'times: access and modification time are set apart, to the nanosecond',
      'times: times before 1970 and after 2106 are kept',
    ],
  },
  {
    what: 'setting only one of the access and the modification time (utimensat with UTIME_OMIT, as tar does): nothing happens',
    why: 'libfuse 2 asks only for both together, unless a flag is set that the package does not have',
    behaviours: ['times: one time can be left as it is, or set to now'],
  },
  {
    what: 'fallocate: EOPNOTSUPP',
    why: 'the package does not have it',
    behaviours: [
      ...FALLOCATE,
      ...RANDOM,
      'set-id bits: they go when somebody who is not root changes the content, and stay when root does',
      'seek: a punched hole is found',
    ],
  },
  {
    what: 'lseek for holes: a file is all data',
    why: 'libfuse 2 does not know the request',
    behaviours: [
      'seek: holes are found where they are',
      'seek: a file that is only a hole has no data',
    ],
  },
  {
    what: 'rename with NOREPLACE and EXCHANGE: EINVAL',
    why: 'libfuse 2 does not know the request',
    behaviours: [
      'rename: NOREPLACE refuses a name that is there and takes one that is not',
      'rename: EXCHANGE swaps files, directories, and one with the other',
      'rename: EXCHANGE across directories mends ".." on both sides',
    ],
  },
  {
    what: 'files without a name (O_TMPFILE): EOPNOTSUPP',
    why: 'libfuse 2 does not know the request',
    behaviours: ['data: a file without a name can be written, read and named'],
  },
  {
    what: '--birth-times: stat shows none',
    why: 'libfuse 2 does not know the request statx',
    behaviours: ['times: the time of birth does not move'],
  },
];

/** Limits that no behaviour of the library is about; `driver.mount.test.ts` beside the driver's tests has some of them. */
export const FUSE_NATIVE_OTHER_LIMITS: readonly Omit<KnownLimit, 'behaviours'>[] = [
  {
    what: 'removing a directory, or moving another over it, while a file that was deleted in it is open: ENOTEMPTY',
    why: 'libfuse finds files by their paths also then, and the package ends the process where there is none',
  },
  {
    what: 'rename over a file that is open is not atomic: for a moment the name leads nowhere',
    why: 'libfuse takes the open file out of the way first, as if it were deleted',
  },
  {
    what: 'names of the form .fuse_hidden and 16 hexadecimal digits: a file that is open and gets one is deleted',
    why: 'libfuse deletes open files so; the driver keeps them from being made',
  },
  {
    what: 'on a mount that follows another machine, a file that is held open may show old data in place',
    why: 'the package cannot tell the kernel to forget; opening the file again shows the new, names and attributes always are new',
  },
  {
    what: 'two names of one file, both open: what is cached of one does not follow the other',
    why: 'to libfuse they are two files; opening again shows the same, so do size and times',
  },
  {
    what: 'Ctrl-C in a call that waits for a peer, where the kernel does not cache: it waits until --deadline',
    why: 'the package does not pass interrupts on',
  },
  {
    what: '--acl: access lists are refused, as without it',
    why: 'libfuse 2 does not know them',
  },
  {
    what: 'inode numbers above 2^32 are shown by their lower 32 bits',
    why: 'the package carries no more; numbers are that large only on drives of several writers',
  },
  {
    what: 'listing a large directory takes memory, some hundred bytes a name',
    why: 'the package takes all names at once',
  },
  {
    what: 'calls of many programs at once leave a few hundred bytes for each thread that libfuse begins',
    why: 'the package does not free what it has for a thread when that ends',
  },
];

/** Behaviours that hold and are not run each time. */
export const FUSE_NATIVE_SLOW: Record<string, string> = {
  'directories: a directory of 100,000 entries lists each of them once':
    'holds, but takes two minutes with this driver',
};

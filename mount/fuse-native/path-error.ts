import { constants } from 'node:os';

export type PathErrorCode =
  | 'EBADF'
  | 'EILSEQ'
  | 'ENAMETOOLONG'
  | 'ENOENT'
  | 'ENOTCONN'
  | 'ENOTDIR'
  | 'ENOTEMPTY';

/** What the driver itself refuses. */
export class PathError extends Error {
  /** Positive. */
  readonly errno: number;

  constructor(code: PathErrorCode) {
    super(code);
    this.errno = constants.errno[code];
  }

  override get name(): string {
    return this.constructor.name;
  }
}

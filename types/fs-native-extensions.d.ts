/** Declarations of the parts of fs-native-extensions 1 that Shoal uses; the package ships none. */
declare module 'fs-native-extensions' {
  /** Takes a stretch out of a file, which stays as long as it is: fallocate(2) with FALLOC_FL_PUNCH_HOLE. */
  export function trim(fd: number, offset: number, length: number): Promise<void>;
}

/** A number of bytes as people type it: "64M". */

const UNITS = ['K', 'M', 'G', 'T'] as const;

/** In the largest unit that says it exactly, else in bytes: "1536K", "1000 bytes". */
export function typedSize(bytes: number): string {
  let shown = `${bytes} bytes`;
  let count = bytes;
  for (const unit of UNITS) {
    if (count === 0 || count % 1024 !== 0) break;
    count /= 1024;
    shown = `${count}${unit}`;
  }
  return shown;
}

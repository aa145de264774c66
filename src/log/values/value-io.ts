/** Reading and writing stretches of value files. */
import { readv as fsReadv, writev as fsWritev } from 'node:fs';
import { limits } from '../../limits.js';
import type { ValuePointer } from './value-pointer.js';

/** A stretch of a value file. */
export interface ValueRange {
  file: number;
  offset: number;
  length: number;
}

/** Somebody who waits for a value. */
export interface Reading {
  pointer: ValuePointer;
  resolve: (value: Buffer) => void;
  reject: (error: Error) => void;
}

/** Buffers in one call of the kernel. */
const BUFFERS_MAX = 512;

/** Ranges of one file that touch each other as one. */
export function joined(ranges: readonly ValueRange[]): ValueRange[] {
  const sorted = [...ranges].sort((a, b) => a.file - b.file || a.offset - b.offset);
  const result: ValueRange[] = [];
  for (const range of sorted) {
    const last = result[result.length - 1];
    const touches = last?.file === range.file && last.offset + last.length >= range.offset;
    if (!touches) result.push({ ...range });
    else last.length = Math.max(last.length, range.offset + range.length - last.offset);
  }
  return result;
}

/** Readings that are one stretch of one file. */
export function* runsOf(readings: readonly Reading[]): Generator<Reading[]> {
  let run: Reading[] = [];
  let bytes = 0;
  for (const reading of readings) {
    const last = run[run.length - 1]?.pointer;
    const { file, offset, length } = reading.pointer;
    const isNext = last?.file === file && last.offset + last.length === offset;
    const isFull = bytes + length > limits.value_read_bytes_max || run.length >= BUFFERS_MAX;
    if (run.length > 0 && (!isNext || isFull)) {
      yield run;
      run = [];
      bytes = 0;
    }
    run.push(reading);
    bytes += length;
  }
  if (run.length > 0) yield run;
}

/** Throws errors of the file system. */
export async function writeAll(
  fd: number,
  values: readonly Buffer[],
  offset: number,
): Promise<void> {
  let at = offset;
  for (let first = 0; first < values.length; first += BUFFERS_MAX) {
    let left = values.slice(first, first + BUFFERS_MAX);
    while (left.length > 0) {
      const bytesWritten = await writev(fd, left, at);
      if (bytesWritten === 0) throw new Error('Cannot write to a value file: nothing was taken');
      at += bytesWritten;
      left = behind(left, bytesWritten);
    }
  }
}

/** Half the time of a handle's own function on the main thread. Resolves with the bytes that were read. */
export function readv(fd: number, buffers: readonly Buffer[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fsReadv(fd, buffers, position, (error, bytes) => {
      if (error === null) resolve(bytes);
      else reject(error);
    });
  });
}

function writev(fd: number, buffers: readonly Buffer[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fsWritev(fd, buffers, position, (error, bytes) => {
      if (error === null) resolve(bytes);
      else reject(error);
    });
  });
}

/** What is left of buffers behind so many bytes. */
function behind(buffers: readonly Buffer[], bytes: number): Buffer[] {
  let passed = 0;
  for (const [i, buffer] of buffers.entries()) {
    if (passed + buffer.length > bytes) {
      return [buffer.subarray(bytes - passed), ...buffers.slice(i + 1)];
    }
    passed += buffer.length;
  }
  return [];
}

/** Begins as RocksDB's do. */
export function corruptionAt({ file, offset, length }: ValuePointer, cause?: unknown): Error {
  return new Error(
    `Corruption: value file ${file} does not hold what was written to it: ${length} bytes at ${offset}`,
    { cause },
  );
}

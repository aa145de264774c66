import { mountLimits } from '../../limits.js';
import { OUT_HEADER } from './layouts.js';
import type { Request } from './request.js';

/** Room for the largest answer that is encoded or copied into the shared buffer. */
const BUFFER_BYTES = OUT_HEADER.SIZE + mountLimits.copied_reply_bytes_max;

/**
 * Builds one answer at a time in a buffer that is used again. Offsets are from the answer's body. An answer is sent in
 * the same turn it is encoded in, so one writer serves all requests of a mount.
 */
export class ReplyWriter {
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  readonly #header = this.#buffer.subarray(0, OUT_HEADER.SIZE);
  readonly #view = new DataView(this.#buffer.buffer);
  #length = 0;
  #data: Buffer | Buffer[] | undefined;
  #dataBytes = 0;
  #framed: Buffer | undefined;
  #framedLength = 0;

  /** An empty body. */
  reset(): void {
    this.#length = 0;
    this.#data = undefined;
    this.#dataBytes = 0;
    this.#framed = undefined;
  }

  /** A zeroed structure of `bytes` as the body; fields are set in the view at offset + {@link at}. */
  struct(bytes: number): DataView {
    this.#buffer.fill(0, OUT_HEADER.SIZE, OUT_HEADER.SIZE + bytes);
    this.#length = bytes;
    return this.#view;
  }

  /** Where the body begins in the view. */
  readonly at = OUT_HEADER.SIZE;

  /** Data as the body, not copied when it is large. */
  data(data: Buffer | Buffer[]): void {
    this.#data = data;
    this.#dataBytes = byteLength(data);
  }

  /** How much data the body is. */
  get dataBytes(): number {
    return this.#dataBytes;
  }

  /** A buffer that has room for the header at its start, then `length` bytes of body. */
  framed(buffer: Buffer, length: number): void {
    this.#framed = buffer;
    this.#framedLength = length;
  }

  /** Sends what was built. Returns 0 or an errno. */
  send(request: Request): number {
    if (this.#framed !== undefined) {
      this.#writeHeader(0, request, OUT_HEADER.SIZE + this.#framedLength);
      this.#framed.set(this.#header);
      return request.port.write(this.#framed, OUT_HEADER.SIZE + this.#framedLength);
    }
    if (this.#data !== undefined) return this.#sendData(request, this.#data);
    const length = OUT_HEADER.SIZE + this.#length;
    this.#writeHeader(0, request, length);
    return request.port.write(this.#buffer, length);
  }

  #sendData(request: Request, data: Buffer | Buffer[]): number {
    const bytes = this.#dataBytes;
    this.#writeHeader(0, request, OUT_HEADER.SIZE + bytes);
    if (bytes > mountLimits.copied_reply_bytes_max) {
      const parts = Array.isArray(data) ? data : [data];
      // Gathered in one call, or the kernel takes none of it.
      const few =
        parts.length < mountLimits.reply_parts_max ? parts : [Buffer.concat(parts, bytes)];
      return request.port.writev([this.#header, ...few]);
    }
    let at = OUT_HEADER.SIZE;
    for (const part of Array.isArray(data) ? data : [data]) {
      this.#buffer.set(part, at);
      at += part.length;
    }
    return request.port.write(this.#buffer, at);
  }

  /** Sends an error. Returns 0 or an errno. */
  sendError(request: Request, errno: number): number {
    this.#writeHeader(errno, request, OUT_HEADER.SIZE);
    return request.port.write(this.#buffer, OUT_HEADER.SIZE);
  }

  #writeHeader(errno: number, request: Request, length: number): void {
    const view = this.#view;
    view.setUint32(OUT_HEADER.len, length, true);
    view.setInt32(OUT_HEADER.error, -errno, true);
    view.setUint32(OUT_HEADER.unique, request.uniqueLow, true);
    view.setUint32(OUT_HEADER.unique + 4, request.uniqueHigh, true);
  }
}

/** The bytes of one buffer or of several. */
export function byteLength(data: Buffer | Buffer[]): number {
  if (!Array.isArray(data)) return data.length;
  let bytes = 0;
  for (const part of data) bytes += part.length;
  return bytes;
}

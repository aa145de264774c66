import type { ReplyPort } from '../../../mount/kernel/protocol/request.js';

/** An answer as the kernel would read it. */
export interface FakeReply {
  errno: number;
  unique: number;
  body: Buffer;
}

/** Takes answers instead of the kernel, and refuses what the kernel would: a length that is not that of the bytes. */
export class FakePort implements ReplyPort {
  readonly replies: FakeReply[] = [];
  #wake: (() => void)[] = [];

  write(buffer: Buffer, length: number): number {
    return this.#take(Buffer.from(buffer.subarray(0, length)));
  }

  writev(parts: Buffer[]): number {
    // libuv passes on so many in one call.
    if (parts.length > 1024) return 22;
    return this.#take(Buffer.concat(parts));
  }

  /** Resolves when there are as many answers. */
  async until(count: number): Promise<void> {
    while (this.replies.length < count) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  #take(message: Buffer): number {
    if (message.length < 16 || message.readUInt32LE(0) !== message.length) return 22;
    this.replies.push({
      errno: Math.abs(message.readInt32LE(4)),
      unique: Number(message.readBigUInt64LE(8)),
      body: message.subarray(16),
    });
    for (const wake of this.#wake.splice(0)) wake();
    return 0;
  }
}

interface RequestParts {
  ino?: number;
  unique?: number;
  body?: Buffer;
  /** What the header says, which may be a lie. */
  length?: number;
  extlen?: number;
}

/** A request with its header. */
export function requestOf(opcode: number, parts: RequestParts = {}): Buffer {
  const { ino = 1, unique = 2, body = Buffer.alloc(0), extlen = 0 } = parts;
  const header = Buffer.alloc(40);
  header.writeUInt32LE(parts.length ?? 40 + body.length, 0);
  header.writeUInt32LE(opcode, 4);
  header.writeBigUInt64LE(BigInt(unique), 8);
  header.writeBigUInt64LE(BigInt(ino), 16);
  header.writeUInt32LE(1000, 24);
  header.writeUInt32LE(1001, 28);
  header.writeUInt32LE(1002, 32);
  header.writeUInt16LE(extlen, 36);
  return Buffer.concat([header, body]);
}

/** The body of INIT as Linux 6.18 sends it. */
export function initBody({
  major = 7,
  minor = 45,
  flags = 0xffffffff,
  flags2 = 0xffff,
} = {}): Buffer {
  const body = Buffer.alloc(64);
  [major, minor, 1 << 20, flags, flags2].forEach((value, index) => {
    body.writeUInt32LE(value, index * 4);
  });
  return body;
}

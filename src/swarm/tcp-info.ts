/** What the kernel says of a TCP connection: `struct tcp_info` of linux/tcp.h, which only ever grows at its end. */
import type { Socket } from 'node:net';
import koffi from 'koffi';

export interface TcpInfo {
  /** Smoothed. */
  roundTripMs: number;
  /** The shortest of the last minutes; null before one was measured. */
  roundTripMsMin: number | null;
  segmentBytes: number;
  /** Segments that came to the peer, and that were sent once more. After 2^32, some terabytes, they begin anew. */
  deliveredSegments: number;
  repeatedSegments: number;
  /** What was given to the kernel and not sent yet. */
  unsentBytes: number;
  /** For so long nothing could be sent since the peer had no room. */
  peerFullMs: number;
}

const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const INFO_BYTES = 256;
/** Up to `tcpi_delivered`, the last that is looked at (Linux 4.18). */
const INFO_BYTES_MIN = 196;
const UNKNOWN = 0xffff_ffff;

type GetSocketOption = (
  fd: number,
  level: number,
  name: number,
  to: Buffer,
  size: Buffer,
) => number;

let getSocketOption: GetSocketOption | undefined;

/** Null for a socket that is closed, and where the kernel is none that says so. */
export function tcpInfo(socket: Socket): TcpInfo | null {
  const fd = (socket as { _handle?: { fd?: number } | null })._handle?.fd;
  if (process.platform !== 'linux' || fd === undefined || fd < 0) return null;
  getSocketOption ??= koffi
    .load(null)
    .func('int getsockopt(int, int, int, void *, void *)') as GetSocketOption;
  const info = Buffer.alloc(INFO_BYTES);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(INFO_BYTES);
  if (getSocketOption(fd, IPPROTO_TCP, TCP_INFO, info, size) !== 0) return null;
  return size.readUInt32LE() < INFO_BYTES_MIN ? null : decodeTcpInfo(info);
}

/** At least 196 bytes, in this machine's order, which is the little-endian one wherever the packages here exist. */
export function decodeTcpInfo(info: Buffer): TcpInfo {
  const roundTripUsMin = info.readUInt32LE(148);
  return {
    roundTripMs: info.readUInt32LE(68) / 1000,
    roundTripMsMin: roundTripUsMin === UNKNOWN ? null : roundTripUsMin / 1000,
    segmentBytes: info.readUInt32LE(16),
    deliveredSegments: info.readUInt32LE(192),
    repeatedSegments: info.readUInt32LE(100),
    unsentBytes: info.readUInt32LE(144),
    peerFullMs: Number(info.readBigUInt64LE(176)) / 1000,
  };
}

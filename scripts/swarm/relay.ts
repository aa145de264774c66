/**
 * The wire between machines of a network, as a process: `node relay.js JSON`. Takes packets of IPv4 from TUN devices,
 * keeps each for a time, and gives it to the device of its destination; loses some. Prints `ready` once the devices are
 * there, and runs until it is killed. It waits in system calls and has no other work, so nothing in it is asynchronous.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { errno, load, os } from 'koffi';
import { SeededRandom } from '../../test/support/seeded-random.js';

/** Device *i* belongs to the machine whose address ends in *i* + 1. */
export interface RelayRequest {
  devices: readonly string[];
  /** One way. */
  delayMs: number;
  /** 0 to 1. */
  loss: number;
  seed: number;
}

const PACKET_BYTES_MAX = 2048;
/** Packets on their way; a router drops more, too. */
const PACKETS_MAX = 32_768;
/** Packets taken from one device before the next has its turn. */
const BURST_PACKETS = 64;
const TUNSETIFF = 0x400454ca;
const IFF_TUN = 1;
const IFF_NO_PI = 0x1000;
const INTERFACE_REQUEST_BYTES = 40;
const POLLIN = 1;
const POLL_ENTRY_BYTES = 8;
/** Of the destination's address in a packet, its last byte. */
const DESTINATION_AT = 19;
const PACKET_BYTES_MIN = 20;

const libc = load(null);
const ioctl = libc.func('int ioctl(int, unsigned long, void *)');
const read = libc.func('long read(int, void *, unsigned long)');
const write = libc.func('long write(int, const void *, unsigned long)');
const poll = libc.func('int poll(void *, unsigned long, int)');

relay(JSON.parse(process.argv[2] ?? '') as RelayRequest);

function relay({ devices, delayMs, loss, seed }: RelayRequest): never {
  const fds = devices.map(openDevice);
  const polled = Buffer.alloc(fds.length * POLL_ENTRY_BYTES);
  fds.forEach((fd, index) => {
    polled.writeInt32LE(fd, index * POLL_ENTRY_BYTES);
    polled.writeInt16LE(POLLIN, index * POLL_ENTRY_BYTES + 4);
  });
  writeSync(1, 'ready\n');

  const random = new SeededRandom(seed);
  const memory = Buffer.alloc(PACKETS_MAX * PACKET_BYTES_MAX);
  const slots = Array.from({ length: PACKETS_MAX }, (_, index) =>
    memory.subarray(index * PACKET_BYTES_MAX, (index + 1) * PACKET_BYTES_MAX),
  );
  // All wait equally long, so the first that came is the first to go.
  const lengths = new Uint16Array(PACKETS_MAX);
  const targets = new Int32Array(PACKETS_MAX);
  const dueMs = new Float64Array(PACKETS_MAX);
  let first = 0;
  let count = 0;

  const take = (fd: number): boolean => {
    const slot = (first + count) % PACKETS_MAX;
    const packet = slots[slot] as Buffer;
    const length = Number(read(fd, packet, PACKET_BYTES_MAX));
    if (length < 0) {
      if (errno() === os.errno.EAGAIN || errno() === os.errno.EINTR) return false;
      throw new Error(`Cannot read a packet: errno ${errno()}`);
    }
    const target = fds[(packet[DESTINATION_AT] as number) - 1];
    const isForUs = length >= PACKET_BYTES_MIN && (packet[0] as number) >> 4 === 4;
    if (!isForUs || target === undefined || count === PACKETS_MAX - 1) return true;
    if (loss > 0 && random.next() < loss) return true;
    lengths[slot] = length;
    targets[slot] = target;
    dueMs[slot] = performance.now() + delayMs;
    count++;
    return true;
  };
  const give = () => {
    const now = performance.now();
    while (count > 0 && (dueMs[first] as number) <= now) {
      // A device that is down or full loses it, as a wire does.
      write(targets[first] as number, slots[first] as Buffer, lengths[first] as number);
      first = (first + 1) % PACKETS_MAX;
      count--;
    }
  };
  for (;;) {
    const waitMs =
      count === 0 ? -1 : Math.max(0, Math.ceil((dueMs[first] as number) - performance.now()));
    poll(polled, fds.length, waitMs);
    fds.forEach((fd, index) => {
      if ((polled.readInt16LE(index * POLL_ENTRY_BYTES + 6) & POLLIN) === 0) return;
      for (let packets = 0; packets < BURST_PACKETS && take(fd); packets++);
    });
    give();
  }
}

function openDevice(name: string): number {
  const fd = openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK);
  const request = Buffer.alloc(INTERFACE_REQUEST_BYTES);
  request.write(name);
  request.writeInt16LE(IFF_TUN | IFF_NO_PI, 16);
  if (ioctl(fd, TUNSETIFF, request) === 0) return fd;
  closeSync(fd);
  throw new Error(`Cannot make the device '${name}': errno ${errno()}`);
}

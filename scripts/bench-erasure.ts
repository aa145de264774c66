/**
 * See scripts/bench-erasure. All speeds are of content: a stripe's data shards, whatever is read or written besides. Each is
 * measured by the processor's time of this process, several times in turn with the others, and the best is shown: what
 * else runs on the machine only ever makes it slower.
 */
import { randomFillSync } from 'node:crypto';
import { createErasureCode } from '../src/hosts/erasure.js';

const SCHEMES = [
  [2, 1],
  [4, 2],
  [8, 3],
  [10, 4],
  [16, 8],
  [30, 50],
] as const;
const ROUNDS = 7;
const ROUND_MS = 60;
/** Stripes in turn, so that they do not stay in the processor's caches. */
const MEMORY_BYTES = 64 << 20;

const shardKib = Number(process.argv[2] ?? 64);
if (!(shardKib > 0 && shardKib <= 1024)) {
  process.stderr.write('A shard has 1 to 1024 KiB\n');
  process.exit(2);
}
const shardBytes = shardKib * 1024;

interface Measured {
  name: string;
  /** Bytes of content in one call. */
  bytes: number;
  run: (turn: number) => void;
  best: number;
}

const memory = randomFillSync(Buffer.alloc(MEMORY_BYTES));
/** Some shards, others each turn. */
function shardsAt(turn: number, count: number): Buffer[] {
  const stripes = Math.max(1, Math.floor(MEMORY_BYTES / (count * shardBytes)));
  const from = (turn % stripes) * count * shardBytes;
  return Array.from({ length: count }, (_, i) =>
    memory.subarray(from + i * shardBytes, from + (i + 1) * shardBytes),
  );
}

function measures(data: number, parity: number): Measured[] {
  const code = createErasureCode(data, parity);
  const lose = (turn: number, lost: number): void => {
    // What the bytes are does not matter for the speed.
    const shards: (Buffer | null)[] = shardsAt(turn, data + parity);
    const missing = Array.from({ length: lost }, (_, i) => i);
    for (const shard of missing) shards[shard] = null;
    code.rebuild(shards, shardBytes, missing);
  };
  const target = Buffer.alloc(data * shardBytes);
  const bytes = data * shardBytes;
  return [
    {
      name: 'copy',
      bytes,
      best: 0,
      run: (turn) => {
        for (const [i, shard] of shardsAt(turn, data).entries()) target.set(shard, i * shardBytes);
      },
    },
    {
      name: 'encode',
      bytes,
      best: 0,
      run: (turn) => code.encode(shardsAt(turn, data), shardBytes),
    },
    { name: 'one lost', bytes, best: 0, run: (turn) => lose(turn, 1) },
    { name: 'all it can', bytes, best: 0, run: (turn) => lose(turn, Math.min(data, parity)) },
  ];
}

function measure(measured: Measured): void {
  const began = process.cpuUsage();
  let turn = 0;
  let micros = 0;
  while (micros < ROUND_MS * 1000) {
    for (let i = 0; i < 4; i++) measured.run(turn++);
    const { user, system } = process.cpuUsage(began);
    micros = user + system;
  }
  measured.best = Math.max(measured.best, (turn * measured.bytes) / micros);
}

process.stdout.write(`Shards of ${shardKib} KiB; MB of content a second of one core\n\n`);
process.stdout.write('scheme   copy memory    encode   rebuild 1   rebuild m\n');
for (const [data, parity] of SCHEMES) {
  const all = measures(data, parity);
  for (let round = 0; round < ROUNDS; round++) for (const each of all) measure(each);
  const cells = all.map(({ best }, i) => best.toFixed(0).padStart([13, 10, 12, 12][i] ?? 10));
  process.stdout.write(`${`${data}+${parity}`.padEnd(7)}${cells.join('')}\n`);
}

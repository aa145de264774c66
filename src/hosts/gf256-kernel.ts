/**
 * The inner loop of erasure coding, as WebAssembly with SIMD: 16 bytes are multiplied with a constant at once. A product
 * is linear over exclusive or, so c × byte = c × (low half) + c × (high half), and each half has 16 values: one
 * look-up in a vector of 16 bytes (`i8x16.swizzle`) for each half, and an exclusive or.
 *
 * The module is put together here, instruction by instruction, when it is first needed; there is no compiler and no
 * binary file. It exports its memory and, for 1 to 4 outputs, a function
 *
 *   multiplyN(source, end, table 1 … table N, output 1 … output N)
 *
 * that adds constant × source to each output. Addresses all; the source from `source` to `end` is a multiple of 64 bytes. Tables have 32 bytes: c × 0 … 15 and
 * c × 0, 16 … 240.
 */
import { multiply } from './gf256.js';

const OUTPUTS_MAX = 4;
const VECTOR_BYTES = 16;
/** Vectors in one round of the loop. */
const UNROLLED = 4;
const STEP_BYTES = UNROLLED * VECTOR_BYTES;
const TABLE_BYTES = 2 * VECTOR_BYTES;
const TABLES_BYTES = 256 * TABLE_BYTES;
/**
 * So much of each shard is worked on at a time: a source and some outputs stay in the second cache of a core. Measured:
 * with 4 KiB, for which the first would do, going in and out of WebAssembly takes a third of the time.
 */
const TILE_BYTES = 32_768;
const PAGE_BYTES = 65_536;

// https://webassembly.github.io/spec/core/binary/
const I32 = 0x7f;
const V128 = 0x7b;
const FUNCTION_TYPE = 0x60;
const SECTION = { type: 1, function: 3, memory: 5, export: 7, code: 10 } as const;
const EXPORT_FUNCTION = 0;
const EXPORT_MEMORY = 2;
const EMPTY_BLOCK = 0x40;
const LOOP = 0x03;
const END = 0x0b;
const BRANCH_IF = 0x0d;
const LOCAL_GET = 0x20;
const LOCAL_SET = 0x21;
const I32_CONST = 0x41;
const I32_LESS_UNSIGNED = 0x49;
const I32_ADD = 0x6a;
const SIMD = 0xfd;
const V128_LOAD = 0x00;
const V128_STORE = 0x0b;
const V128_CONST = 0x0c;
const I8X16_SWIZZLE = 0x0e;
const V128_AND = 0x4e;
const V128_XOR = 0x51;
const I8X16_SHIFT_RIGHT_UNSIGNED = 0x6d;
/** Alignment of a load or store, as a power of two: a promise that V8 does not need. */
const ALIGNED_4 = 4;

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

/** Signed LEB128 of a number below 2^13 that is not negative. */
const signed = (value: number): number[] =>
  value < 0x40 ? [value] : [(value & 0x7f) | 0x80, value >>> 7];
const vector = (items: readonly (readonly number[])[]): number[] => [
  ...unsigned(items.length),
  ...items.flat(),
];
const sized = (bytes: readonly number[]): number[] => [...unsigned(bytes.length), ...bytes];
const section = (id: number, bytes: readonly number[]): number[] => [id, ...sized(bytes)];
const named = (text: string): number[] => sized([...Buffer.from(text)]);
const get = (local: number): number[] => [LOCAL_GET, local];
const set = (local: number): number[] => [LOCAL_SET, local];
const simd = (operation: number): number[] => [SIMD, ...unsigned(operation)];
const load = (offset: number): number[] => [...simd(V128_LOAD), ALIGNED_4, ...unsigned(offset)];

/** The body of the function for so many outputs. */
function functionBody(outputs: number): number[] {
  const source = 0;
  const end = 1;
  const table = (i: number): number => 2 + i;
  const output = (i: number): number => 2 + outputs + i;
  const lows = 2 + 2 * outputs;
  const highs = lows + 1;
  const lowTable = (i: number): number => lows + 2 + 2 * i;
  const highTable = (i: number): number => lows + 3 + 2 * i;
  const each = (code: (i: number) => number[]): number[] =>
    Array.from({ length: outputs }, (_, i) => code(i)).flat();
  const advance = (local: number): number[] => [
    ...get(local),
    ...[I32_CONST, ...signed(STEP_BYTES)],
    I32_ADD,
    ...set(local),
  ];
  const oneVector = (offset: number): number[] => [
    // highs = source >> 4, lows = source & 15, of each byte
    ...[...get(source), ...load(offset), ...set(lows)],
    ...[...get(lows), I32_CONST, 4, ...simd(I8X16_SHIFT_RIGHT_UNSIGNED), ...set(highs)],
    ...[...get(lows), ...simd(V128_CONST), ...Array<number>(VECTOR_BYTES).fill(15)],
    ...[...simd(V128_AND), ...set(lows)],
    // output ^= low table[lows] ^ high table[highs]
    ...each((i) => [
      ...get(output(i)),
      ...[...get(output(i)), ...load(offset)],
      ...[...get(lowTable(i)), ...get(lows), ...simd(I8X16_SWIZZLE)],
      ...[...get(highTable(i)), ...get(highs), ...simd(I8X16_SWIZZLE)],
      ...[...simd(V128_XOR), ...simd(V128_XOR)],
      ...[...simd(V128_STORE), ALIGNED_4, ...unsigned(offset)],
    ]),
  ];
  const locals = vector([[...unsigned(2 + 2 * outputs), V128]]);
  const code = [
    ...each((i) => [
      ...[...get(table(i)), ...load(0), ...set(lowTable(i))],
      ...[...get(table(i)), ...load(VECTOR_BYTES), ...set(highTable(i))],
    ]),
    ...[LOOP, EMPTY_BLOCK],
    ...Array.from({ length: UNROLLED }, (_, i) => oneVector(i * VECTOR_BYTES)).flat(),
    ...each((i) => advance(output(i))),
    ...advance(source),
    ...[...get(source), ...get(end), I32_LESS_UNSIGNED, BRANCH_IF, 0],
    END,
  ];
  return sized([...locals, ...code, END]);
}

function moduleBytes(): Uint8Array<ArrayBuffer> {
  const outputs = Array.from({ length: OUTPUTS_MAX }, (_, i) => i + 1);
  const parameters = (count: number): number[] => [
    ...unsigned(2 + 2 * count),
    ...Array<number>(2 + 2 * count).fill(I32),
  ];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(SECTION.type, vector(outputs.map((n) => [FUNCTION_TYPE, ...parameters(n), 0]))),
    ...section(SECTION.function, vector(outputs.map((_, type) => [type]))),
    ...section(SECTION.memory, vector([[0, 1]])),
    ...section(
      SECTION.export,
      vector([
        [...named('memory'), EXPORT_MEMORY, 0],
        ...outputs.map((n, index) => [...named(`multiply${n}`), EXPORT_FUNCTION, index]),
      ]),
    ),
    ...section(SECTION.code, vector(outputs.map(functionBody))),
  ]);
}

type MultiplyAdd = (source: number, end: number, ...tablesThenOutputs: number[]) => void;

class Kernel {
  readonly #memory: WebAssembly.Memory;
  readonly #multiply: MultiplyAdd[];
  #bytes: Uint8Array;

  constructor() {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes()));
    this.#memory = exports.memory as WebAssembly.Memory;
    this.#multiply = Array.from(
      { length: OUTPUTS_MAX },
      (_, i) => exports[`multiply${i + 1}`] as MultiplyAdd,
    );
    this.#bytes = this.#reserve(TABLES_BYTES);
    for (let constant = 0; constant < 256; constant++) {
      for (let half = 0; half < VECTOR_BYTES; half++) {
        const at = constant * TABLE_BYTES + half;
        this.#bytes[at] = multiply(constant, half);
        this.#bytes[at + VECTOR_BYTES] = multiply(constant, half << 4);
      }
    }
  }

  #reserve(bytes: number): Uint8Array {
    const missing = bytes - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE_BYTES));
    return Buffer.from(this.#memory.buffer);
  }

  combine(
    coefficients: readonly Uint8Array[],
    sources: readonly Uint8Array[],
    outputs: readonly Uint8Array[],
    length: number,
  ): void {
    const source = TABLES_BYTES;
    const first = source + TILE_BYTES;
    const memoryBytes = first + outputs.length * TILE_BYTES;
    if (memoryBytes > this.#bytes.length) this.#bytes = this.#reserve(memoryBytes);
    const memory = this.#bytes;
    const addresses = outputs.map((_, i) => first + i * TILE_BYTES);
    for (let from = 0; from < length; from += TILE_BYTES) {
      memory.fill(0, first, memoryBytes);
      for (const [j, bytes] of sources.entries()) {
        const piece = bytes.subarray(from, Math.min(from + TILE_BYTES, length));
        if (piece.length === 0) continue;
        memory.set(piece, source);
        const end = source + Math.ceil(piece.length / STEP_BYTES) * STEP_BYTES;
        memory.fill(0, source + piece.length, end);
        this.#addTo(addresses, coefficients, j, source, end);
      }
      for (const [i, output] of outputs.entries()) {
        const at = addresses[i] as number;
        output.set(memory.subarray(at, at + Math.min(TILE_BYTES, length - from)), from);
      }
    }
  }

  /** Adds its part of one source to the tiles of all outputs. */
  #addTo(
    addresses: readonly number[],
    coefficients: readonly Uint8Array[],
    j: number,
    source: number,
    end: number,
  ): void {
    const table = (i: number): number =>
      ((coefficients[i] as Uint8Array)[j] as number) * TABLE_BYTES;
    const address = (i: number): number => addresses[i] as number;
    const [one, two, three, four] = this.#multiply as [
      MultiplyAdd,
      MultiplyAdd,
      MultiplyAdd,
      MultiplyAdd,
    ];
    for (let i = 0; i < addresses.length; i += OUTPUTS_MAX) {
      // Spelled out, since a call with spread arguments takes longer than the work.
      const [a, b, c, d] = [i, i + 1, i + 2, i + 3] as const;
      switch (addresses.length - i) {
        case 1:
          one(source, end, table(a), address(a));
          break;
        case 2:
          two(source, end, table(a), table(b), address(a), address(b));
          break;
        case 3:
          three(source, end, table(a), table(b), table(c), address(a), address(b), address(c));
          break;
        default:
          four(
            ...([source, end, table(a), table(b), table(c), table(d)] as const),
            ...([address(a), address(b), address(c), address(d)] as const),
          );
      }
    }
  }
}

let kernel: Kernel | undefined;

/**
 * Each output becomes a linear combination of the sources.
 *
 * @param coefficients A row for each output, with a coefficient for each source.
 * @param sources May be shorter than `length`: what is missing counts as zeros.
 * @param outputs At least `length` bytes each; their first `length` bytes are overwritten.
 * @param length Bytes.
 */
export function combine(
  coefficients: readonly Uint8Array[],
  sources: readonly Uint8Array[],
  outputs: readonly Uint8Array[],
  length: number,
): void {
  kernel ??= new Kernel();
  kernel.combine(coefficients, sources, outputs, length);
}

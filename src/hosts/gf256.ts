/**
 * Arithmetic of the field with 256 elements that erasure coding calculates in: a byte is a polynomial over {0, 1}, modulo
 * x^8 + x^4 + x^3 + x^2 + 1 (0x11d). Adding is exclusive or. Part of a stored format (docs/format.md).
 */

const POLYNOMIAL = 0x11d;
/** The elements besides zero are the powers of x. */
const ORDER = 255;

const exponentials = new Uint8Array(2 * ORDER);
const logarithms = new Uint8Array(256);
for (let i = 0, power = 1; i < ORDER; i++) {
  exponentials[i] = power;
  exponentials[i + ORDER] = power;
  logarithms[power] = i;
  power <<= 1;
  if (power > ORDER) power ^= POLYNOMIAL;
}

/** a × b. */
export function multiply(a: number, b: number): number {
  if (a === 0 || b === 0) return 0;
  return exponentials[(logarithms[a] as number) + (logarithms[b] as number)] as number;
}

/** a ÷ b. Throws RangeError for b = 0. */
export function divide(a: number, b: number): number {
  if (b === 0) throw new RangeError('Cannot divide by zero');
  if (a === 0) return 0;
  return exponentials[(logarithms[a] as number) + ORDER - (logarithms[b] as number)] as number;
}

/** Rows of coefficients, each 0 to 255. */
export type Matrix = Uint8Array[];

/** The inverse of a square matrix, by Gauss-Jordan elimination. Throws RangeError when it has none. */
export function invert(matrix: readonly Uint8Array[]): Matrix {
  const size = matrix.length;
  const rows = matrix.map((row, i) => {
    const extended = new Uint8Array(2 * size);
    extended.set(row);
    extended[size + i] = 1;
    return extended;
  });
  for (let column = 0; column < size; column++) {
    const pivot = rows.findIndex((row, i) => i >= column && row[column] !== 0);
    if (pivot < 0) throw new RangeError('Cannot invert a singular matrix');
    const row = rows[pivot] as Uint8Array<ArrayBuffer>;
    rows[pivot] = rows[column] as Uint8Array<ArrayBuffer>;
    rows[column] = row;
    const divisor = row[column] as number;
    for (let j = 0; j < row.length; j++) row[j] = divide(row[j] as number, divisor);
    for (const other of rows) {
      const factor = other === row ? 0 : (other[column] as number);
      if (factor === 0) continue;
      for (let j = 0; j < row.length; j++) {
        other[j] = (other[j] as number) ^ multiply(factor, row[j] as number);
      }
    }
  }
  return rows.map((row) => row.slice(size));
}

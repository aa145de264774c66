/** 64-bit fields as numbers, without BigInt: exact up to 2^53 - 1, which is what this program allows. */

const TWO_32 = 2 ** 32;

/** An unsigned field; above 2^53 - 1 the result is inexact and not a safe integer. */
export function getU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
}

/** A signed field. */
export function getI64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getInt32(at + 4, true) * TWO_32;
}

/** An unsigned or signed field; `value` is a safe integer. */
export function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setInt32(at + 4, Math.floor(value / TWO_32), true);
}

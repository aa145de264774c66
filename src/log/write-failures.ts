/** Writes to the stores of this process that failed: what came from a peer and was not taken then may be sound. */
let failed = 0;

/** How many there were. Whoever sees it grow while something is stored knows that this machine may be why it was not. */
export function countWriteFailures(): number {
  return failed;
}

export function noteWriteFailure(): void {
  failed++;
}

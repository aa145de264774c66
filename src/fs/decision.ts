/** Something decided in one tick about all that the drive is then. */
export interface Decision {
  /** No commit runs meanwhile, so the tree stays as it is; writers wait, so it must be quick. */
  prepare: () => Promise<void>;
  /** All that is dirty is sealed. Drive records put now go with the commit. */
  decide: () => void;
}

/** With what `prepare` or `decide` threw. */
export type PendingDecision = Decision & { error?: unknown };

/** What it throws is for who decides, not for those who wait for the commit. */
export function decideNow(decision: PendingDecision): void {
  try {
    decision.decide();
  } catch (error) {
    decision.error = error;
  }
}

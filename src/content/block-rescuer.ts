/** How a block comes back that no connected peer has: from what is left elsewhere. The layer above knows from what. */

/** A block that was put into the local store. */
export interface RescuedBlock {
  block: number;
  /** As it is stored. */
  bytes: number;
}

export interface BlockRescuer {
  /**
   * Puts a block into the local store, and others that are found on the way. Resolves with them; with none when that
   * cannot be done now. Bounded in time; never rejects, also when `signal` aborts. Who asks for many gets them all: what
   * is done at once is bounded.
   */
  rescue(block: number, signal: AbortSignal): Promise<readonly RescuedBlock[]>;
}

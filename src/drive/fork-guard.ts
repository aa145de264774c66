/**
 * A copy of a drive that may write must never take over a fork of the logs that another copy has begun: it would then
 * sign its own blocks under numbers that the other one signs blocks for, too. But it has to learn that there is one: the
 * drive was taken over by another machine. Applies to hypercore 11.
 */
import type Hypercore from 'hypercore';
import type { CoreContext, ReorgBatch } from 'hypercore';
import type { DriveLogs } from './drive-logs.js';
import type { DriveState } from './drive-state.js';

/** The newest fork that this copy has begun, or was given with the lease. */
export function ownFork({ forkBegun, lengths }: DriveState): number {
  return Math.max(forkBegun, lengths?.treeFork ?? 0, lengths?.contentFork ?? 0);
}

export interface ForkGuardOptions {
  logs: DriveLogs;
  contentKey: Buffer;
  /**
   * Called once after {@link ForkGuard.keep}, when a peer has shown a fork that only a holder of the write key can have begun, and that this copy has
   * not. Nothing of that fork is taken until {@link ForkGuard.follow}.
   */
  onTakenOver: (fork: number) => void;
}

/** Watches both logs from before the first peer is connected until their store is closed. */
export class ForkGuard {
  readonly #options: ForkGuardOptions;
  readonly #tree: Hypercore;
  readonly #content: Hypercore;
  /** Forks up to this one are no other copy's; null for a copy that only reads, and follows any. */
  #ownFork: number | null = null;
  #isTakenOver = false;
  /** Whether the newer fork is followed, once that is known; null while nothing of it may be taken. */
  #verdict: Promise<boolean> | null = null;
  #settle: (isFollowed: boolean) => void = () => undefined;

  private constructor(options: ForkGuardOptions, tree: Hypercore, content: Hypercore) {
    this.#options = options;
    this.#tree = tree;
    this.#content = content;
  }

  /** Any fork is followed until {@link ForkGuard.keep}. Its sessions are closed with the store. Throws StoreError. */
  static async open(options: ForkGuardOptions): Promise<ForkGuard> {
    const { logs, contentKey } = options;
    const tree = logs.tree(false);
    const content = logs.content(contentKey, false);
    await Promise.all([tree.ready(), content.ready()]);
    const guard = new ForkGuard(options, tree, content);
    guard.#watch(tree, (batch) => guard.#mayTakeTree(batch));
    // What the chunk log has beyond a newer fork belongs to no version, if the tree has nothing beyond it.
    guard.#watch(content, async () => (await guard.#verdict) ?? false);
    return guard;
  }

  /** Whether a peer has said how far its copy of the tree log goes. */
  get hasHeard(): boolean {
    return this.#tree.peers.some(({ remoteSynced }) => remoteSynced);
  }

  /** This copy may write from now on. @param ownFork See {@link ownFork}. */
  keep(ownFork: number): void {
    this.#ownFork = ownFork;
    this.#isTakenOver = false;
    this.#verdict = null;
  }

  /** Another copy with the write key says so. */
  takenOver(fork: number): void {
    if (this.#isTakenOver || this.#ownFork === null) return;
    this.#isTakenOver = true;
    this.#allowForks(false);
    this.#options.onTakenOver(fork);
  }

  /**
   * For a copy that was taken over and does not write: follows the newer fork, but only if nothing of the tree that is
   * here would be lost by it. Resolves whether it does, once a peer has shown the fork, or the guard is closed.
   * @param ownFork The tree log's fork when it was taken over.
   */
  follow(ownFork: number): Promise<boolean> {
    this.#ownFork = ownFork;
    this.#isTakenOver = true;
    this.#verdict ??= new Promise((resolve) => {
      this.#settle = resolve;
    });
    if (this.#tree.fork > ownFork) this.#settle(true);
    this.#allowForks(true);
    return this.#verdict;
  }

  /** Ends what waits for a decision. The sessions are closed with the store. */
  close(): void {
    this.#settle(false);
  }

  #watch(core: Hypercore, mayTake: (batch: ReorgBatch) => Promise<boolean> | boolean): void {
    const context = core.core as CoreContext;
    const verify = context.verifyReorg.bind(context);
    const take = context.reorg.bind(context);
    const isForeign = ({ fork }: ReorgBatch): boolean =>
      this.#ownFork !== null && fork > Math.max(core.fork, this.#ownFork);
    context.verifyReorg = async (proof) => {
      // It throws for what the owner's key has not signed.
      const batch = await verify(proof);
      if (isForeign(batch)) this.takenOver(batch.fork);
      return batch;
    };
    context.reorg = async (batch) => {
      if (isForeign(batch) && !(await mayTake(batch))) return false;
      const isTaken = await take(batch);
      if (core === this.#tree) this.#settle(isTaken);
      return isTaken;
    };
  }

  #mayTakeTree(batch: ReorgBatch): boolean {
    if (this.#verdict === null) return false;
    if (batch.ancestors >= this.#tree.length) return true;
    this.#allowForks(false);
    this.#settle(false);
    return false;
  }

  #allowForks(isAllowed: boolean): void {
    for (const { replicator } of [this.#tree, this.#content]) {
      if (replicator === null) continue;
      replicator.allowFork = isAllowed;
      if (!isAllowed) continue;
      // What was asked before was answered in vain, and the peers say only once how far they are.
      replicator._reorgs = [];
      for (const peer of replicator.peers) replicator._updateFork(peer);
    }
  }
}

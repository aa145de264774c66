/** A core whose appends can be made to fail, on top of a real one. */
import type Hypercore from 'hypercore';

export interface FailingCore {
  core: Hypercore;
  /** Fails the appends to come with it, until null. */
  fail: (error: Error | null) => void;
  /** Like `fail`, but the blocks are in the log when the append fails, as when Hypercore's hints do. */
  failAfter: (error: Error | null) => void;
  appends: () => number;
}

/** Changes the `append` of every session that `core` makes from now on. */
export function failingCore(core: Hypercore): FailingCore {
  let before: Error | null = null;
  let after: Error | null = null;
  let appends = 0;
  const makeSession = core.session.bind(core);
  core.session = (options) => {
    const session = makeSession(options);
    const append = session.append.bind(session);
    session.append = async (blocks, appendOptions) => {
      appends++;
      if (before !== null) throw before;
      const result = await append(blocks, appendOptions);
      if (after !== null) throw after;
      return result;
    };
    return session;
  };
  return {
    core,
    fail: (error) => {
      before = error;
    },
    failAfter: (error) => {
      after = error;
    },
    appends: () => appends,
  };
}

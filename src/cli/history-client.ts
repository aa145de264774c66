/** Asks about a drive's past: its mount when there is one, else the drive itself. */
import { callControl } from '../control/client.js';
import type { HistoryMethod } from '../drive/history-session.js';
import type { Home } from '../drive/home.js';
import { LogFile } from '../drive/log-file.js';
import { runningHolder } from '../drive/store-lock.js';

/** A restored tree may have a million files. */
const ANSWER_MS_MAX = 3600 * 1000;

export type HistoryCall = (
  method: HistoryMethod,
  parameters: Record<string, unknown>,
) => Promise<unknown>;

/** Runs `use` with a way to ask. `changes`: it will change the drive. Throws NotFoundError, and what the call throws. */
export async function askHistory<T>(
  home: Home,
  name: string,
  changes: boolean,
  use: (call: HistoryCall) => Promise<T>,
): Promise<T> {
  await home.read(name);
  const socket = runningHolder(home.paths(name).lock)?.socket ?? null;
  if (socket !== null) {
    return await use((method, parameters) =>
      callControl(socket, method, parameters, ANSWER_MS_MAX),
    );
  }
  // Loading it takes longer than asking a mount.
  const { withHistory } = await import('../drive/history-session.js');
  const { write: log } = new LogFile(home.paths(name).log);
  return await withHistory(home, name, { changes, log }, (history) =>
    use((method, parameters) => history.call(method, parameters)),
  );
}

import { MountBusyError } from '../errors.js';
import { processesUsing } from '../processes-using.js';
import { readMountTable } from './mount-table.js';

/** Who keeps a mounted directory busy: processes, and mounts below it. */
export async function mountBusy(directory: string): Promise<MountBusyError> {
  const below = (await readMountTable())
    .map((entry) => entry.directory)
    .filter((path) => path.startsWith(`${directory}/`));
  return new MountBusyError(directory, await processesUsing(directory), below);
}

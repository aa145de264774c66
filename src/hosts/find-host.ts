import { NotFoundError, UsageError } from '../errors.js';
import { formatHostId } from './host-id.js';
import { isKeeping, type Plan, type PlanHost } from './plan-record.js';

const ID_CHARACTERS_MIN = 4;

/** The number of a host that is named by its label, its number or the beginning of its id. Throws NotFoundError, UsageError. */
export function findHost({ hosts }: Plan, which: string): number {
  const found = hosts.flatMap(({ id, label }, index) => {
    const isIt =
      label === which ||
      String(index) === which ||
      (which.length >= ID_CHARACTERS_MIN && formatHostId(id).startsWith(which.toLowerCase()));
    return isIt ? [index] : [];
  });
  const [first] = found;
  const shown = printable(which);
  if (first === undefined) {
    throw new NotFoundError(
      `No host '${shown}': 'shoal hosts list' shows them; of an id at least ${ID_CHARACTERS_MIN} characters`,
    );
  }
  if (found.length > 1) {
    throw new UsageError(
      `'${shown}' means more than one host: give its number in 'shoal hosts list'`,
    );
  }
  return first;
}

/** As {@link findHost}, of a host that keeps something. Throws UsageError for others, too. */
export function findHostToRemove(plan: Plan, which: string): number {
  const index = findHost(plan, which);
  const { status } = plan.hosts[index] as PlanHost;
  if (isKeeping(status)) return index;
  throw new UsageError(
    `Cannot remove host '${printable(which)}': it is ${status}, and nothing is kept there any more ('shoal hosts add' takes it in again)`,
  );
}

function printable(which: string): string {
  return which.replace(/[^\x20-\x7e]/g, '?');
}

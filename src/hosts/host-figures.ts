import type { HostFigures } from './figures.js';
import { formatHostId } from './host-id.js';
import type { OwnerBook } from './owner-book.js';
import { isKeeping, type Plan } from './plan-record.js';

/** What an owner is told of each host of a plan. `live`: who takes part in the placement, by index. */
export function hostFigures(
  plan: Plan,
  live: readonly boolean[],
  book: OwnerBook,
  isReachable: (id: Buffer) => boolean,
): HostFigures[] {
  return plan.hosts.map((host, index) => {
    const { lastSeenMs, state, storedBytes, audits, lastAuditMs } = book.of(host.id);
    return {
      index,
      id: formatHostId(host.id),
      label: host.label,
      status: host.status,
      reachable: isReachable(host.id),
      missed: host.status === 'active' && live[index] === false,
      storedBytes: host.status === 'gone' ? 0 : storedBytes,
      missingBytes: isKeeping(host.status) ? (state?.missingBytes ?? 0) : 0,
      capacityBytes: state?.capacityBytes ?? host.capacityBytes,
      freeBytes: state?.freeBytes ?? null,
      auditScore: audits.score,
      audits: { passed: audits.passed, failed: audits.failed, lastMs: lastAuditMs },
      lastSeenMs,
    };
  });
}

/** Answers commands about hosts: in a mount over its control socket, else in a drive that is opened for it. */
import type { NodeAddress } from 'hyperdht';
import type { ControlHandler } from '../control/server.js';
import { UsageError } from '../errors.js';
import type { DriveFileSystem } from '../fs/drive-file-system.js';
import type { HostFigures, ProtectionFigures } from '../hosts/figures.js';
import { formatHostId, parseInviteOrId } from '../hosts/host-id.js';
import { isValidHostLabel, type Scheme } from '../hosts/plan-record.js';
import { limits } from '../limits.js';
import { type Drive, openDrive } from './drive.js';
import { type DriveHealth, driveHealth } from './drive-health.js';
import type { Home } from './home.js';
import { openFileSystem } from './open-file-system.js';
import { Protection } from './protection.js';

export type { HostFigures, ProtectionFigures } from '../hosts/figures.js';
export type { DriveHealth } from './drive-health.js';

/** Methods of the control socket. */
export const protectionMethods = [
  'hostAdd',
  'hosts',
  'hostRemove',
  'protect',
  'protection',
  'health',
] as const;
export type ProtectionMethod = (typeof protectionMethods)[number];

/** What `hostAdd` answers. */
export interface AddedHost extends HostFigures {
  /** It was one of the drive's hosts before. */
  wasHost: boolean;
}

/** What `protection` answers. */
export interface PacedFigures extends ProtectionFigures {
  /** Sent to hosts while somebody wrote fast, so slowly that he is not slowed down; in bytes, since the mount. */
  pacedBytes: number;
}

export interface ProtectionCommands {
  drive: Drive;
  fileSystem: DriveFileSystem;
  protection: Protection;
  signal: AbortSignal;
}

/** Answers one request. Throws UsageError, and what the work throws. */
export async function callProtection(
  { drive, fileSystem, protection, signal }: ProtectionCommands,
  method: ProtectionMethod,
  parameters: Record<string, unknown>,
): Promise<unknown> {
  switch (method) {
    case 'hostAdd': {
      const invite = parseInviteOrId(textOf(parameters.invite));
      const label = textOf(parameters.label ?? '');
      if (!isValidHostLabel(label)) {
        throw new UsageError(
          `Cannot use label '${label.replace(/[^\x20-\x7e]/g, '?')}': use letters, digits, dots, dashes`,
        );
      }
      const protector = await protection.enabled();
      const id = formatHostId(invite.hostId);
      const before = protector.hosts().find((host) => host.id === id)?.status;
      const host = await protector.addHost(invite, label, signal);
      return { ...host, wasHost: before === 'active' } satisfies AddedHost;
    }
    case 'hosts':
      return (await protection.required()).hosts() satisfies HostFigures[];
    case 'hostRemove':
      return await (await protection.required()).removeHost(textOf(parameters.host));
    case 'protect': {
      const protector = await protection.enabled();
      await protector.protect(checkedChanges(parameters));
      return protector.figures() satisfies ProtectionFigures;
    }
    case 'protection': {
      const protector = await protection.required();
      if (parameters.awaited === true) protection.noteAwaited();
      if (parameters.commit === true) await fileSystem.commit();
      if (parameters.look === true) void protector.look();
      if (parameters.awaited === true) protection.noteAwaited();
      const { pacedBytes } = protection;
      return { ...protector.figures(), pacedBytes } satisfies PacedFigures;
    }
    case 'health': {
      const protector = await protection.required();
      const path = textOf(parameters.path);
      if (path !== '/') await fileSystem.commit();
      return (await driveHealth(drive, protector, path, signal)) satisfies DriveHealth;
    }
  }
}

export function protectionHandlers(commands: ProtectionCommands): Record<string, ControlHandler> {
  return Object.fromEntries(
    protectionMethods.map((method) => [
      method,
      (parameters: Record<string, unknown>) => callProtection(commands, method, parameters),
    ]),
  );
}

/** Throws UsageError. */
function checkedChanges(parameters: Record<string, unknown>): {
  scheme?: Scheme;
  repairAfterMs?: number;
} {
  const { data, parity, copies, repairAfterMs } = parameters;
  const changes: { scheme?: Scheme; repairAfterMs?: number } = {};
  if (copies !== undefined) {
    const count = numberOf(copies, 'number of copies', 1, limits.stripe_shards_max);
    changes.scheme = { kind: 'copies', data: 1, parity: count - 1 };
  } else if (data !== undefined || parity !== undefined) {
    const k = numberOf(data, 'number of data shards', 1, limits.stripe_shards_max);
    const m = numberOf(parity, 'number of parity shards', 1, limits.stripe_shards_max);
    if (k + m > limits.stripe_shards_max) {
      throw new UsageError(
        `Cannot use ${k} + ${m} shards: at most ${limits.stripe_shards_max} in all`,
      );
    }
    changes.scheme = { kind: 'erasure', data: k, parity: m };
  }
  if (repairAfterMs !== undefined) {
    changes.repairAfterMs = numberOf(repairAfterMs, 'time', 0, Number.MAX_SAFE_INTEGER);
  }
  return changes;
}

function numberOf(value: unknown, what: string, min: number, max: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number;
  }
  throw new UsageError(`Cannot use ${String(value)} as ${what}: it must be ${min} to ${max}`);
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new UsageError('Cannot tell what is meant: the request has no text');
}

export interface UnmountedProtectionOptions {
  command: string;
  offline?: boolean;
  bootstrap?: NodeAddress[] | undefined;
  log: (line: string) => void;
  signal: AbortSignal;
}

/** Runs `use` with a way to ask a drive that is not mounted. Throws what opening a drive throws. */
export async function withProtection<T>(
  home: Home,
  name: string,
  options: UnmountedProtectionOptions,
  use: (
    call: (method: ProtectionMethod, parameters: Record<string, unknown>) => Promise<unknown>,
  ) => Promise<T>,
): Promise<T> {
  const { log, signal, command, offline = false, bootstrap } = options;
  const drive = await openDrive(home, name, { command, offline, bootstrap, log, signal });
  try {
    const fileSystem = await openFileSystem(drive, log);
    const protection = new Protection({ home, drive, fileSystem, inBackground: false, log });
    try {
      return await use((method, parameters) =>
        callProtection({ drive, fileSystem, protection, signal }, method, parameters),
      );
    } finally {
      await protection.close();
      await fileSystem.close();
    }
  } finally {
    await drive.close();
  }
}

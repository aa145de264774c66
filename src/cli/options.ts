/** Options that several commands have. */
import { InvalidArgumentError } from 'commander';
import type { NodeAddress } from 'hyperdht';
import { checkCacheBytes } from '../drive/cache-bytes.js';
import { UsageError } from '../errors.js';
import { parseBootstrap } from '../swarm/address.js';

const DEADLINE_SECONDS_MAX = 3600;

/** Seconds of a deadline, in milliseconds. */
export function parseDeadline(text: string): number {
  const seconds = /^[0-9]+(\.[0-9]+)?$/.test(text) ? Number(text) : 0;
  if (seconds <= 0 || seconds > DEADLINE_SECONDS_MAX) {
    throw new InvalidArgumentError(
      `It must be a number of seconds above 0, at most ${DEADLINE_SECONDS_MAX}.`,
    );
  }
  return Math.ceil(seconds * 1000);
}

/** A number of bytes, with K, M, G or T for powers of 1024: 512M. */
export function parseBytes(text: string): number {
  const match = /^([0-9]{1,15})([KMGT])?(i?B)?$/i.exec(text);
  const power = 'KMGT'.indexOf((match?.[2] ?? '').toUpperCase() || '-') + 1;
  const bytes = match === null ? Number.NaN : Number(match[1]) * 1024 ** power;
  if (!Number.isSafeInteger(bytes)) {
    throw new InvalidArgumentError('It must be a number of bytes, such as 512M or 20G.');
  }
  return bytes;
}

/** The bound of a cache, in bytes. */
export function parseCacheSize(text: string): number {
  const bytes = parseBytes(text);
  checkCacheBytes(bytes);
  return bytes;
}

const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
  y: 365 * 86_400_000,
};
const DURATION_YEARS_MAX = 1000;

/** A time such as 30d, 12h or 0, in milliseconds. */
export function parseDuration(text: string): number {
  const match = /^([0-9]{1,9})([smhdwy]?)$/.exec(text);
  const unitMs = DURATION_UNITS_MS[match?.[2] ?? ''] ?? 0;
  const ms = Number(match?.[1]) * unitMs;
  const isBare = match?.[2] === '' && Number(match[1]) !== 0;
  if (match === null || isBare || ms > DURATION_YEARS_MAX * (DURATION_UNITS_MS.y as number)) {
    throw new InvalidArgumentError('It must be a time such as 30d, 12h, 2w or 1y, or 0.');
  }
  return ms;
}

/** The bootstrap nodes of the option, else of the environment; undefined for the public ones. Throws UsageError. */
export function bootstrapOf(
  option: string | undefined,
  environment: NodeJS.ProcessEnv,
): NodeAddress[] | undefined {
  const text = option ?? environment.SHOAL_BOOTSTRAP;
  if (text === undefined || text === '') {
    if (option === '') throw new UsageError('Cannot use an empty --bootstrap: give HOST:PORT');
    return undefined;
  }
  return parseBootstrap(text);
}

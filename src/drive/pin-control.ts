/** Pins of a running mount, over its control socket. */
import type { ControlHandler } from '../control/server.js';
import { UsageError } from '../errors.js';
import type { Pinner } from './pinner.js';

export function pinHandlers(pinner: Pinner): Record<string, ControlHandler> {
  return {
    pin: async ({ paths }) => {
      await pinner.pin(pathsOf(paths));
      return pinner.figures();
    },
    unpin: async ({ paths }) => {
      await pinner.unpin(pathsOf(paths));
      return pinner.figures();
    },
    pins: () => pinner.figures(),
  };
}

/** Throws UsageError. */
function pathsOf(value: unknown): string[] {
  if (Array.isArray(value) && value.every((path) => typeof path === 'string')) return value;
  throw new UsageError('Cannot pin: the request names no paths');
}

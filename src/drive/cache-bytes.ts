/** What `--cache-size` may be. */
import { UsageError } from '../errors.js';
import { limits } from '../limits.js';
import { typedSize } from './typed-size.js';

/** Throws UsageError when the bound is too small to work in. */
export function checkCacheBytes(bytes: number): void {
  if (bytes >= limits.cache_bytes_min) return;
  throw new UsageError(
    `Cannot use a cache of ${typedSize(bytes)}: at least ${typedSize(limits.cache_bytes_min)} are needed; the database alone takes some megabytes`,
  );
}

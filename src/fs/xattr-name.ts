/** Names of extended attributes. Those from a drive are somebody else's and must be checked. */
import { limits } from '../limits.js';
import { isAccessList } from './access-lists.js';

/** What a name begins with. Of `system.` there are access lists only; the rest is the kernel's own business. */
export const XATTR_NAMESPACES: readonly string[] = ['user.', 'trusted.', 'security.'];

/** Whether a record may have this name. */
export function isValidXattrName(name: string): boolean {
  if (isAccessList(name)) return true;
  return (
    name.length <= limits.name_bytes_max &&
    !name.includes('\0') &&
    XATTR_NAMESPACES.some((prefix) => name.startsWith(prefix) && name.length > prefix.length)
  );
}

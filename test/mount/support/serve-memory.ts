/**
 * Mounts a file system in memory on the directory given and says "mounted"; unmounts when standard input ends. Run as a
 * process of its own, so that tests can kill it or run it as another user. It holds the file `hello`.
 */
import { KernelDriver } from '../../../mount/kernel/kernel-driver.js';
import { MemoryFileSystem } from './memory-file-system.js';

const directory = process.argv[2] ?? '';
const fileSystem = new MemoryFileSystem({ wantsWritebackCache: true });
fileSystem.put('hello', 'hello from memory\n');
const mount = await new KernelDriver().mount(fileSystem, {
  directory,
  sourceName: 'memory',
  subtype: 'shoal-test',
  allowOther: false,
  onNotice: (line) => console.error(line),
  onEnd: () => process.exit(7),
});
console.log('mounted');
process.stdin.on('data', (chunk: Buffer) => {
  if (chunk.toString().startsWith('exit')) process.exit(9);
});
process.stdin.on('end', async () => {
  await mount.unmount({ force: false });
  console.log('unmounted');
});

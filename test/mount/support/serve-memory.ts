/**
 * Mounts a file system in memory on the directory given, with the driver given (`kernel` without one), and says "mounted";
 * unmounts when standard input ends. Run as a process of its own, so that tests can kill it or run it as another user. It
 * holds the files `hello` and `hang`. On standard input, "exit" leaves by process.exit(), "throw" by an error that nobody
 * catches, "invalidate" tells the kernel to forget `hang`.
 */
import { FuseNativeDriver } from '../../../mount/fuse-native/fuse-native-driver.js';
import { KernelDriver } from '../../../mount/kernel/kernel-driver.js';
import { MemoryFileSystem } from './memory-file-system.js';

const directory = process.argv[2] ?? '';
const fileSystem = new MemoryFileSystem({ wantsWritebackCache: false });
fileSystem.put('hello', 'hello from memory\n');
const hang = fileSystem.put('hang', 'x'.repeat(4096));
const driver = process.argv[3] === 'fuse-native' ? new FuseNativeDriver() : new KernelDriver();
const mount = await driver.mount(fileSystem, {
  directory,
  sourceName: 'memory',
  subtype: 'shoal-test',
  allowOther: false,
  onNotice: (line) => console.error(line),
  onEnd: () => process.exit(7),
});
console.log('mounted');
fileSystem.whenHanging().then(() => console.log('hanging'));
process.stdin.on('data', (chunk: Buffer) => {
  const command = chunk.toString().trim();
  if (command === 'exit') process.exit(9);
  if (command === 'throw') throw new Error('a fault of the program');
  if (command === 'invalidate') void fileSystem.kernel?.invalidateInode(hang, 0, 0);
});
process.stdin.on('end', async () => {
  await mount.unmount({ force: false });
  console.log('unmounted');
});

/** The loops on hyperdrive, in a process of their own: `node hyperdrive-loops.js JSON`. Prints a result as `loops.js`. */
import { once } from 'node:events';
import type { LoopResult } from '../loops.js';
import { incompressible } from '../loops-data.js';
import { type DriveInstance, loadHyperdrive } from './hyperdrive-modules.js';

/** As the requests of `loops.js`; `modules` is the folder with hyperdrive, `store` that of the drive. */
export interface HyperdriveRequest {
  modules: string;
  store: string;
  loop: 'writeLarge' | 'readLarge' | 'createFiles' | 'statFiles' | 'readFiles';
  count: number;
  size: number;
}

const FILES_PER_FOLDER = 100;

const request = JSON.parse(process.argv[2] ?? '') as HyperdriveRequest;
const { Hyperdrive, Corestore } = loadHyperdrive(request.modules);
const store = new Corestore(request.store);
const drive = new Hyperdrive(store);
await drive.ready();
console.log(JSON.stringify(await run(drive, request)));
await drive.close();

async function run(drive: DriveInstance, request: HyperdriveRequest): Promise<LoopResult> {
  const { loop, count, size } = request;
  const isWriting = loop === 'writeLarge' || loop === 'createFiles';
  const data = isWriting ? incompressible(count * size) : Buffer.alloc(0);
  const piece = (index: number) => data.subarray(index * size, (index + 1) * size);
  let operations = count;
  let bytes = loop === 'statFiles' ? 0 : count * size;
  const started = performance.now();
  if (loop === 'writeLarge') {
    const stream = drive.createWriteStream('/large');
    const end = once(stream, 'close');
    for (let index = 0; index < count; index++) {
      if (!stream.write(piece(index))) await once(stream, 'drain');
    }
    stream.end();
    await end;
  } else if (loop === 'readLarge') {
    operations = 0;
    for await (const block of drive.createReadStream('/large')) {
      operations++;
      bytes += block.length;
    }
  } else {
    for (let index = 0; index < count; index++) {
      const name = `/folder-${Math.floor(index / FILES_PER_FOLDER)}/file-${index}`;
      if (loop === 'createFiles') await drive.put(name, piece(index));
      else if (loop === 'readFiles') check((await drive.get(name))?.length === size, name);
      else check((await drive.entry(name)) !== null, name);
    }
  }
  return { seconds: (performance.now() - started) / 1000, operations, bytes };
}

function check(isGood: boolean, name: string): void {
  if (!isGood) throw new Error(`Cannot find '${name}' in the drive`);
}

/** Requests of the kernel. */
import { Notifier } from '../../../mount/kernel/notifier.js';
import { OPCODE } from '../../../mount/kernel/protocol/opcodes.js';
import { Session } from '../../../mount/kernel/session.js';
import { FakePort, initBody, requestOf } from '../../mount/support/fake-port.js';
import { MemoryFileSystem } from '../../mount/support/memory-file-system.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import { brokenInput } from '../mutate.js';
import type { Target } from '../target.js';

const REQUESTS = 30;
const OPCODES = Object.values(OPCODE);
const HEADER_BYTES = 40;
const numbers = (...values: number[]) => {
  const body = Buffer.alloc(8 * values.length);
  for (const [i, value] of values.entries()) body.writeBigUInt64LE(BigInt(value), 8 * i);
  return body;
};
const bodies = [
  Buffer.alloc(0),
  Buffer.from('name\0'),
  Buffer.concat([numbers(0o100644, 0o22), Buffer.from('file\0')]),
  Buffer.concat([numbers(2), Buffer.from('from\0to\0')]),
  Buffer.concat([numbers(1, 0), Buffer.from('user.a\0value')]),
  Buffer.concat([numbers(1, 0, 5, 0, 0), Buffer.from('hello')]),
  numbers(1, 0, 4096, 0, 0),
  numbers(1, 5, 2, 5, 2, 5),
  Buffer.alloc(128),
];

export const fuseTarget: Target = {
  name: 'FUSE requests',
  rarity: 5,
  run(random: SeededRandom): boolean {
    const notifier = new Notifier(
      (_, done) => done(0),
      () => null,
    );
    const session = new Session(new MemoryFileSystem(), notifier, {
      onInit: () => undefined,
      onNotice: () => undefined,
    });
    const port = new FakePort();
    const init = requestOf(OPCODE.INIT, { ino: 0, body: initBody() });
    session.handle(init, init.length, port);
    for (let i = 0; i < REQUESTS; i++) {
      const body = random.below(3) === 0 ? brokenInput(random, bodies) : random.pick(bodies);
      const opcode = random.below(30) === 0 ? random.below(2 ** 31) : random.pick(OPCODES);
      const lie = random.below(10) === 0 ? random.below(100) : 0;
      const request = requestOf(opcode, {
        ino: random.below(4),
        unique: 10 + i,
        body,
        length: HEADER_BYTES + body.length + lie,
        extlen: random.below(20) === 0 ? random.below(65_536) : 0,
      });
      const cut = random.below(20) === 0 ? random.below(request.length) : request.length;
      session.handle(request, cut, port);
    }
    session.end();
    const seen = new Set<number>();
    for (const { unique, errno } of port.replies) {
      if (seen.has(unique)) throw new Error(`Request ${unique} has two answers`);
      if (errno < 0 || errno > 511) throw new Error(`Errno ${errno}`);
      seen.add(unique);
    }
    return session.statistics().malformedRequests < (2 * REQUESTS) / 3;
  },
};

/** What a mount process does between the kernel's request and its answer, recorded with strace. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ended, hasProgram } from '../../support/command.js';
import { LineReader } from '../../support/line-reader.js';

const CALLS = 'read,readv,write,writev,pwrite64,pwritev,fsync,fdatasync';
/** Enough of a message on /dev/fuse for its header. */
const STRING_BYTES = 32;

/** Something that happened, in the order of the trace. */
export type TracedEvent =
  | { kind: 'request'; opcode: number; unique: string }
  | { kind: 'answer'; error: number; unique: string }
  /** A write to a write-ahead file of the store, which has ended. */
  | { kind: 'append'; file: string }
  /** A write to the sync journal that succeeded: `begun` is the position among the events at which it began. */
  | { kind: 'entry'; begun: number }
  /** A sync of such a file that succeeded: `begun` is the position among the events at which it began. */
  | { kind: 'sync'; file: string; begun: number };

/** Why strace cannot be used here; null when it can. */
export function whyNoTrace(): string | null {
  if (!hasProgram('strace')) return 'strace is not installed';
  const probe = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'], { encoding: 'utf8' });
  return probe.status === 0 ? null : 'strace may not trace here';
}

/** A process that is being traced. */
export class Trace {
  readonly #child: ChildProcess;
  readonly #end: Promise<unknown>;
  readonly #file: string;

  private constructor(child: ChildProcess, file: string) {
    this.#child = child;
    this.#end = ended(child);
    this.#file = file;
  }

  /** Begins once all threads are traced. The trace goes to `file`. */
  static async start(pid: number, file: string): Promise<Trace> {
    const what = ['-e', `trace=${CALLS}`, '-e', 'signal=none'];
    const how = ['-f', '-y', '-x', '-s', String(STRING_BYTES), '-o', file];
    const child = spawn('strace', [...how, ...what, '-p', String(pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const trace = new Trace(child, file);
    const line = await new LineReader(child.stderr as NodeJS.ReadableStream).next();
    if (!line.includes('attached')) throw new Error(`Cannot trace process ${pid}: ${line}`);
    return trace;
  }

  /** What is in the trace by now. */
  soFar(): TracedEvent[] {
    return parseTrace(readFileSync(this.#file, 'latin1'));
  }

  /** Lets the process go on without being traced. */
  async stop(): Promise<TracedEvent[]> {
    this.#child.kill('SIGINT');
    await this.#end;
    return parseTrace(readFileSync(this.#file, 'latin1'));
  }
}

/** A call that another thread's line has cut in two. */
interface Unfinished {
  name: string;
  text: string;
  begun: number;
}

export function parseTrace(text: string): TracedEvent[] {
  const events: TracedEvent[] = [];
  const unfinished = new Map<string, Unfinished>();
  for (const line of text.split('\n')) {
    const [, thread, rest] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (thread === undefined || rest === undefined) continue;
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest);
    const begun = /^(\w+)\((.*)$/.exec(rest);
    if (resumed !== null) {
      const first = unfinished.get(thread);
      unfinished.delete(thread);
      if (first !== undefined) addEnd(events, { ...first, text: first.text + resumed[2] });
    } else if (begun !== null) {
      const [, name = '', parameters = ''] = begun;
      const isCut = parameters.endsWith('<unfinished ...>');
      const call = {
        name,
        text: parameters.replace(/ *<unfinished \.\.\.>$/, ''),
        begun: events.length,
      };
      addBegin(events, call);
      if (isCut) unfinished.set(thread, call);
      else addEnd(events, call);
    }
  }
  return events;
}

/** The caller sees an answer from the moment at which its call begins. */
function addBegin(events: TracedEvent[], { name, text }: Unfinished): void {
  if (!name.includes('write') || fileOf(text) !== '/dev/fuse') return;
  const header = headerOf(text);
  // Notifications have no request.
  if (header === null || header.readBigUInt64LE(8) === 0n) return;
  events.push({ kind: 'answer', error: header.readInt32LE(4), unique: uniqueOf(header) });
}

function addEnd(events: TracedEvent[], { name, text, begun }: Unfinished): void {
  const file = fileOf(text);
  if (name.startsWith('read') && file === '/dev/fuse') {
    const header = headerOf(text);
    if (header === null) return;
    events.push({ kind: 'request', opcode: header.readUInt32LE(4), unique: uniqueOf(header) });
  } else if (name.includes('write') && file.endsWith('.log')) {
    events.push({ kind: 'append', file });
  } else if (name.includes('write') && file.endsWith('/journal')) {
    if (/\) += [1-9]\d*$/.test(text)) events.push({ kind: 'entry', begun });
  } else if (name.endsWith('sync') && file.endsWith('.log') && /\) += 0$/.test(text)) {
    events.push({ kind: 'sync', file, begun });
  }
}

/** `17</dev/fuse>, ...` */
function fileOf(text: string): string {
  return /^\d+<(.*?)>/.exec(text)?.[1] ?? '';
}

/** The first 16 bytes of what was read or written; all have a zero among them, so strace prints them as \xNN. */
function headerOf(text: string): Buffer | null {
  const digits = /"((?:\\x[0-9a-f]{2}){16,})"/.exec(text)?.[1];
  return digits === undefined ? null : Buffer.from(digits.replaceAll('\\x', ''), 'hex');
}

function uniqueOf(header: Buffer): string {
  return String(header.readBigUInt64LE(8));
}

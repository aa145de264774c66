/** Where the main thread of a mount's process spends its time: a CPU profile by kinds of work. */
import type { CpuProfile } from './probe-messages.js';

export const WORK_KINDS = [
  'kernel',
  'hash',
  'encrypt',
  'compress',
  'copy',
  'store',
  'log and tree',
  'Shoal',
  'runtime',
] as const;

/**
 * `kernel`: reading requests and writing answers; `hash`: with cutting into chunks; `runtime`: the rest of Node.js, native code without a
 * caller, garbage.
 */
export type WorkKind = (typeof WORK_KINDS)[number];

/** The main thread waits for the disk itself while that is quick: it takes its time, and next to none of the processor's. */
type SampleKind = WorkKind | 'disk';

export interface ProfileSummary {
  /** Milliseconds of the main thread. */
  ms: Record<WorkKind, number>;
  /** In which it waits for the disk, in calls that return once it has answered. */
  diskMs: number;
  /** Of the functions that took most, first the one that took most. */
  top: { name: string; ms: number }[];
}

const TOP_MAX = 400;

/**
 * By the name of a function of Node.js or V8, wherever it is called. Functions of native packages all have the name of one of
 * them, which says nothing: they go with their caller.
 */
const nativeKinds: readonly [RegExp, SampleKind][] = [
  [/^(Hmac|Hash|update|digest)$/, 'hash'],
  [
    /^(copy|_copy|_copyActual|copyBytes|set|fill|_fill|concat|allocUnsafeSlow|createUnsafeBuffer|SharedArrayBuffer|ArrayBuffer)$/,
    'copy',
  ],
  [/^(writeBuffer|read)$/, 'disk'],
  [/^(writev|writeBuffers|writevSync)$/, 'kernel'],
];

/** By the file of a function; what has none of these goes with its caller. */
const fileKinds: readonly [RegExp, WorkKind][] = [
  [/\/node_modules\/(rocksdb-native|hypercore-storage)\//, 'store'],
  [/\/node_modules\/(koffi)\//, 'kernel'],
  [/\/node_modules\/(sodium-native|sodium-universal)\//, 'encrypt'],
  [/\/node_modules\/hypercore-crypto\//, 'hash'],
  [/\/mount\/(kernel\/(fuse-device|request-loop)|system\/libc)\.js/, 'kernel'],
  [/\/src\/content\/(chunk-hash|chunker)\.js/, 'hash'],
  [/\/src\/content\/(zstd|compressible)\.js/, 'compress'],
  [/\/src\/log\/copy-bytes\.js/, 'copy'],
  [/\/src\/log\/(aead|encryption|sectors)\.js/, 'encrypt'],
  [/\/src\/log\/values\//, 'store'],
  [/\/dist\/(src|mount)\//, 'Shoal'],
  [/\/node_modules\//, 'log and tree'],
];

export function summarizeProfile(profile: CpuProfile): ProfileSummary {
  const parents = new Map<number, number>();
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  for (const { id, children } of profile.nodes) {
    for (const child of children ?? []) parents.set(child, id);
  }
  const kinds = new Map<number, SampleKind | null>();
  const kindOf = (id: number | undefined): SampleKind | null => {
    if (id === undefined) return 'runtime';
    const known = kinds.get(id);
    if (known !== undefined) return known;
    const node = nodes.get(id);
    const own = node === undefined ? 'runtime' : ownKind(node.callFrame);
    const kind = own === undefined ? kindOf(parents.get(id)) : own;
    kinds.set(id, kind);
    return kind;
  };
  const ms = Object.fromEntries(WORK_KINDS.map((kind) => [kind, 0])) as Record<WorkKind, number>;
  let diskMs = 0;
  const byName = new Map<string, number>();
  profile.samples.forEach((id, index) => {
    const kind = kindOf(id);
    const took = (profile.timeDeltas[index] ?? 0) / 1000;
    if (kind === null) return;
    if (kind === 'disk') diskMs += took;
    else ms[kind] += took;
    const name = nameOf(nodes.get(id)?.callFrame);
    byName.set(name, (byName.get(name) ?? 0) + took);
  });
  const top = [...byName]
    .map(([name, took]) => ({ name, ms: took }))
    .sort((a, b) => b.ms - a.ms)
    .slice(0, TOP_MAX);
  return { ms, diskMs, top };
}

type Frame = CpuProfile['nodes'][number]['callFrame'];

/** Null for idleness, undefined for what goes with its caller. */
function ownKind({ functionName, url }: Frame): SampleKind | null | undefined {
  // The profiler's own beginning is no work of the mount, either.
  if (functionName === '(idle)' || functionName === 'dispatch') return null;
  if (functionName === '(root)') return 'runtime';
  if (functionName === '(program)' || functionName === '(garbage collector)') return 'runtime';
  if (url === '' || url.startsWith('node:')) {
    return nativeKinds.find(([pattern]) => pattern.test(functionName))?.[1];
  }
  return fileKinds.find(([pattern]) => pattern.test(url))?.[1];
}

function nameOf(frame: Frame | undefined): string {
  if (frame === undefined) return '(unknown)';
  const file = frame.url.split('/').slice(-2).join('/');
  return `${frame.functionName || '(anonymous)'}${file === '' ? '' : ` ${file}:${frame.lineNumber + 1}`}`;
}

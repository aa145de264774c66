/**
 * Mixed work on a directory as a list of operations that is fixed before it begins, and a model that says what the
 * directory holds after each of them.
 */
import { createCipheriv } from 'node:crypto';
import type { SeededRandom } from '../../support/seeded-random.js';

/** How an operation makes what it wrote durable, and with it everything before. */
export type Sync = 'fsync' | 'fdatasync' | 'O_SYNC' | null;

/** Paths are relative to the directory. Content is `contentOf(seed, bytes)`. */
export type Operation =
  | { kind: 'put'; path: string; seed: number; bytes: number; sync: Sync }
  | { kind: 'write'; path: string; at: number; seed: number; bytes: number; sync: Sync }
  | { kind: 'truncate'; path: string; size: number }
  | { kind: 'rename'; path: string; to: string }
  | { kind: 'link'; path: string; to: string }
  | { kind: 'symlink'; path: string; target: string }
  | { kind: 'unlink'; path: string; keepOpen: boolean }
  | { kind: 'mkdir'; path: string }
  | { kind: 'rmdir'; path: string }
  | { kind: 'setxattr'; path: string; name: string; seed: number; bytes: number }
  | { kind: 'removexattr'; path: string; name: string }
  | { kind: 'syncDirectory'; path: string };

/** A file, directory or symbolic link of the model. Hard links share one. */
export type Node =
  | { type: 'file'; content: Buffer; xattrs: Map<string, Buffer> }
  | { type: 'directory' }
  | { type: 'symlink'; target: string };

export type FileNode = Extract<Node, { type: 'file' }>;

/** What a directory holds, by path; the directory itself is not listed. */
export type Model = Map<string, Node>;

/** A worker hands over what it writes in calls of so much. */
export const WRITE_BYTES_MAX = 100_000;

const DIRECTORIES = ['.', 'd0', 'd1', 'd0/inner', 'd1/größe'];
const NAMES_PER_DIRECTORY = 6;
const FILES_MAX = 40;
const INLINE_BYTES_MAX = 800;
const FILE_BYTES_MAX = 300_000;
const XATTR_BYTES_MAX = 2000;

export function contentOf(seed: number, bytes: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeInt32LE(seed);
  // Faster by far than drawing it from SeededRandom.
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

/** A copy that shares no node. */
export function cloneModel(model: Model): Model {
  const copies = new Map<Node, Node>();
  const clone = new Map<string, Node>();
  for (const [path, node] of model) {
    let copy = copies.get(node);
    if (copy === undefined) {
      copy = node.type === 'file' ? { ...node, xattrs: new Map(node.xattrs) } : { ...node };
      copies.set(node, copy);
    }
    clone.set(path, copy);
  }
  return clone;
}

/** Does to the model what the operation does to a directory. */
export function applyOperation(model: Model, operation: Operation): void {
  const { path } = operation;
  switch (operation.kind) {
    case 'put': {
      const content = contentOf(operation.seed, operation.bytes);
      const existing = model.get(path);
      if (existing?.type === 'file') existing.content = content;
      else model.set(path, { type: 'file', content, xattrs: new Map() });
      break;
    }
    case 'write': {
      const file = fileAt(model, path);
      file.content = overwritten(file.content, operation);
      break;
    }
    case 'truncate': {
      const file = fileAt(model, path);
      const content = Buffer.alloc(operation.size);
      file.content.copy(content);
      file.content = content;
      break;
    }
    case 'rename':
      model.set(operation.to, nodeAt(model, path));
      model.delete(path);
      break;
    case 'link':
      model.set(operation.to, nodeAt(model, path));
      break;
    case 'symlink':
      model.set(path, { type: 'symlink', target: operation.target });
      break;
    case 'mkdir':
      model.set(path, { type: 'directory' });
      break;
    case 'unlink':
    case 'rmdir':
      model.delete(path);
      break;
    case 'setxattr':
      fileAt(model, path).xattrs.set(operation.name, contentOf(operation.seed, operation.bytes));
      break;
    case 'removexattr':
      fileAt(model, path).xattrs.delete(operation.name);
      break;
    case 'syncDirectory':
      break;
  }
}

/** Whether the operation's end means that everything up to it is durable. */
export function isDurable(operation: Operation): boolean {
  return operation.kind === 'syncDirectory' || ('sync' in operation && operation.sync !== null);
}

function overwritten(before: Buffer, write: { at: number; seed: number; bytes: number }): Buffer {
  const content = Buffer.alloc(Math.max(before.length, write.at + write.bytes));
  before.copy(content);
  contentOf(write.seed, write.bytes).copy(content, write.at);
  return content;
}

function nodeAt(model: Model, path: string): Node {
  const node = model.get(path);
  if (node === undefined) throw new Error(`The model has no '${path}'`);
  return node;
}

export function fileAt(model: Model, path: string): FileNode {
  const node = nodeAt(model, path);
  if (node.type !== 'file') throw new Error(`'${path}' of the model is no file`);
  return node;
}

/** `count` operations that all succeed one after the other on a directory that holds `start`. */
export function planWork(random: SeededRandom, start: Model, count: number): Operation[] {
  const model = cloneModel(start);
  const operations: Operation[] = [];
  while (operations.length < count) {
    const operation = proposeOperation(random, model);
    if (operation === null) continue;
    applyOperation(model, operation);
    operations.push(operation);
  }
  return operations;
}

/** null when what came up is not possible now. */
function proposeOperation(random: SeededRandom, model: Model): Operation | null {
  const directories = DIRECTORIES.filter((path) => path === '.' || model.has(path));
  const anyPath = () => join(random.pick(directories), `f${random.below(NAMES_PER_DIRECTORY)}`);
  const files = [...model.keys()].filter((path) => model.get(path)?.type === 'file');
  const free = anyPath();
  const isFree = !model.has(free);
  const path = files.length === 0 ? null : random.pick(files);
  const pick = random.below(100);
  if (pick < 25) {
    const target = files.length < FILES_MAX && random.below(3) > 0 ? free : path;
    if (target === null || !(model.get(target)?.type === 'file' || !model.has(target))) return null;
    return { kind: 'put', path: target, ...content(random), sync: sync(random) };
  }
  if (pick < 28) return { kind: 'syncDirectory', path: random.pick(directories) };
  if (pick < 36) return proposeDirectory(random, model);
  if (pick < 40) return isFree ? { kind: 'symlink', path: free, target: `to ${pick}` } : null;
  if (path === null) return null;
  const { length } = fileAt(model, path).content;
  if (pick < 58) {
    const at = random.below(3) === 0 ? length : random.below(length + 5000);
    return { kind: 'write', path, at, ...content(random), sync: sync(random) };
  }
  if (pick < 63) return { kind: 'truncate', path, size: random.below(2 * length + 1000) };
  if (pick < 80) {
    const replaced = model.get(free);
    // Names of one file: a rename between them does nothing.
    if (replaced?.type === 'directory' || replaced === model.get(path)) return null;
    return { kind: 'rename', path, to: free };
  }
  if (pick < 84) return isFree ? { kind: 'link', path, to: free } : null;
  if (pick < 94) return { kind: 'unlink', path, keepOpen: random.below(4) === 0 };
  const name = `user.${random.below(3)}`;
  if (fileAt(model, path).xattrs.has(name) && random.below(2) === 0) {
    return { kind: 'removexattr', path, name };
  }
  const bytes = random.below(XATTR_BYTES_MAX);
  return { kind: 'setxattr', path, name, seed: random.below(2 ** 31), bytes };
}

function proposeDirectory(random: SeededRandom, model: Model): Operation | null {
  const path = random.pick(DIRECTORIES.slice(1));
  if (!model.has(path)) {
    const parent = path.split('/').slice(0, -1).join('/');
    return parent === '' || model.has(parent) ? { kind: 'mkdir', path } : null;
  }
  const isEmpty = ![...model.keys()].some((other) => other.startsWith(`${path}/`));
  return isEmpty ? { kind: 'rmdir', path } : null;
}

function content(random: SeededRandom): { seed: number; bytes: number } {
  const max = random.pick([INLINE_BYTES_MAX, 20_000, FILE_BYTES_MAX]);
  return { seed: random.below(2 ** 31), bytes: 1 + random.below(max) };
}

function sync(random: SeededRandom): Sync {
  return random.pick(['fsync', 'fdatasync', 'O_SYNC', null, null, null, null, null, null]);
}

function join(directory: string, name: string): string {
  return directory === '.' ? name : `${directory}/${name}`;
}

/** Which part of the program a file belongs to, and what it may import. */
import path from 'node:path';

export interface ImportLine {
  specifier: string;
  typeOnly: boolean;
}

const BASE = ['log', 'errors.ts', 'limits.ts'];

/**
 * Layer by layer, from the command line down, what each may import besides itself. Downward only: a layer that is
 * imported here never imports back.
 */
const ALLOWED: Record<string, readonly string[]> = {
  cli: ['drive', 'control', 'swarm', 'hosts', 'mount', ...BASE],
  drive: ['fs', 'swarm', 'hosts', 'control', 'tree', 'content', 'mount', ...BASE],
  control: BASE,
  fs: ['tree', 'content', ...BASE],
  swarm: ['tree', 'content', ...BASE],
  hosts: ['swarm', 'tree', ...BASE],
  tree: BASE,
  content: BASE,
  log: ['errors.ts', 'limits.ts'],
  'errors.ts': [],
  'limits.ts': ['host-limits.ts'],
  'host-limits.ts': [],
  mount: [],
};

/** The one file of mount/ that the file system may import types of. */
const CONTRACT = 'mount/file-system.ts';

/** The import and re-export statements of a TypeScript file, dynamic imports of a literal included. */
export function importsOf(source: string): ImportLine[] {
  const code = withoutComments(source);
  const found: ImportLine[] = [];
  const statement =
    /\b(?:import|export)\s+(type\s+)?(?:[\w$*{}\s,]+?\sfrom\s+)?['"]([^'"\n]+)['"]/g;
  for (const [, type, specifier = ''] of code.matchAll(statement)) {
    found.push({ specifier, typeOnly: type !== undefined });
  }
  for (const [, specifier = ''] of code.matchAll(/\bimport\s*\(\s*['"]([^'"\n]+)['"]\s*\)/g)) {
    found.push({ specifier, typeOnly: false });
  }
  return found;
}

/** What is wrong with the imports of a file; `file` is its path from the project's root. */
export function importProblems(file: string, source: string): string[] {
  const from = layerOf(file);
  const problems: string[] = [];
  if (!(from in ALLOWED)) return [`${file}: '${from}' is no layer of the map`];
  for (const { specifier, typeOnly } of importsOf(source)) {
    if (!specifier.startsWith('.')) continue;
    const target = path.posix
      .normalize(path.posix.join(path.posix.dirname(file), specifier))
      .replace(/\.js$/, '.ts');
    const to = layerOf(target);
    if (to === from || ALLOWED[from]?.includes(to)) continue;
    if (from === 'fs' && target === CONTRACT && typeOnly) continue;
    problems.push(`${file}: imports '${specifier}', and ${from} must not import ${to}`);
  }
  return problems;
}

/** `src/fs/inode.ts` is in `fs`, `src/errors.ts` stands for itself, all of mount/ is one. */
function layerOf(file: string): string {
  const [top = '', next = ''] = file.split('/');
  return top === 'src' ? next : top;
}

/** Good enough for finding imports and exports: strings with comment marks in them are left alone line by line. */
export function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}

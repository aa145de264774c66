import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { callControl } from '../../control/client.js';
import type { Home } from '../../drive/home.js';
import { LogFile } from '../../drive/log-file.js';
import { pinPath, readPins, writePins } from '../../drive/pin-file.js';
import { isWhole, type PinFigures, withoutPins } from '../../drive/pinner.js';
import { runningHolder } from '../../drive/store-lock.js';
import { limits } from '../../limits.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { bootstrapOf } from '../options.js';
import { countOf, formatBytes, formatTable } from '../output.js';
import { ProgressLine } from '../progress.js';

interface PinOptions {
  offline?: boolean;
  bootstrap?: string;
  json?: boolean;
}

const LOOK_MS = 250;

export function addPinCommands(program: Command, context: CliContext): void {
  program
    .command('pin')
    .description('keep files and directories of a drive on this machine')
    .argument('<name>', 'a drive of this machine')
    .argument('<path...>', 'in the drive, such as /photos; / for all of it')
    .option('--offline', 'without a mount: fetch nothing now')
    .option('--bootstrap <host:port,...>', 'nodes of a private network (or SHOAL_BOOTSTRAP)')
    .option('--json', 'print JSON')
    .action(async (name: string, paths: string[], options: PinOptions) => {
      const home = homeOf(context);
      await home.read(name);
      const wanted = paths.map(pinPath);
      const progress = new ProgressLine(context.stderr);
      const socket = socketOf(home, name);
      let pins: PinFigures[];
      try {
        pins =
          socket === null
            ? await pinHere(home, name, wanted, { ...options, context, progress })
            : await pinThroughMount(socket, name, wanted, progress);
      } finally {
        progress.clear();
      }
      const shown = pins.filter(({ path }) => wanted.includes(path));
      printReport(context, options.json, shown, formatPins(shown));
    });

  program
    .command('unpin')
    .description('let files and directories of a drive go when space is needed')
    .argument('<name>', 'a drive of this machine')
    .argument('<path...>', 'as they were pinned')
    .option('--json', 'print JSON')
    .action(async (name: string, given: string[], options: PinOptions) => {
      const home = homeOf(context);
      await home.read(name);
      const paths = given.map(pinPath);
      const socket = socketOf(home, name);
      if (socket !== null) await callControl(socket, 'unpin', { paths });
      else {
        const { pins: file } = home.paths(name);
        const pins = (await readPins(file)).map((path) => ({ path }));
        const left = withoutPins(pins, new Set(paths));
        await writePins(
          file,
          left.map(({ path }) => path),
        );
      }
      printReport(context, options.json, { unpinned: paths }, `unpinned ${paths.join(' ')}`);
    });

  program
    .command('pins')
    .description('show what is kept on this machine, and how much of it is here')
    .argument('<name>', 'a drive of this machine')
    .option('--json', 'print JSON')
    .action(async (name: string, options: PinOptions) => {
      const home = homeOf(context);
      await home.read(name);
      const socket = socketOf(home, name);
      const pins =
        socket === null
          ? await figuresHere(home, name)
          : ((await callControl(socket, 'pins')) as PinFigures[]);
      printReport(context, options.json, pins, formatPins(pins));
    });
}

/** One pin, in a few words. */
export function formatPin(pin: PinFigures): string {
  const { path, files, directories, bytes, blocks, blocksHere, problem } = pin;
  if (files === null) return `${path}: ${problem ?? 'being looked at'}`;
  const share = blocks === 0 ? 100 : Math.floor((100 * blocksHere) / blocks);
  const below = directories === 0 ? '' : ` and ${countOf(directories, 'directory', 'directories')}`;
  const what = `${path}: ${share} % here of ${formatBytes(bytes)} in ${countOf(files, 'file')}${below}`;
  return problem === null ? what : `${what}; ${problem}`;
}

function formatPins(pins: readonly PinFigures[]): string {
  if (pins.length === 0) return 'nothing is pinned';
  return formatTable(pins.map((pin) => [formatPin(pin)]));
}

function socketOf(home: Home, name: string): string | null {
  return runningHolder(home.paths(name).lock)?.socket ?? null;
}

async function pinThroughMount(
  socket: string,
  name: string,
  paths: string[],
  progress: ProgressLine,
): Promise<PinFigures[]> {
  await callControl(socket, 'pin', { paths });
  const ask = async (): Promise<PinFigures[]> =>
    (await callControl(socket, 'pins')) as PinFigures[];
  return await waitForPins(name, paths, ask, progress);
}

async function pinHere(
  home: Home,
  name: string,
  paths: string[],
  options: PinOptions & { context: CliContext; progress: ProgressLine },
): Promise<PinFigures[]> {
  const bootstrap = bootstrapOf(options.bootstrap, options.context.environment);
  const offline = options.offline === true;
  const { write: log } = new LogFile(home.paths(name).log);
  // Loading it takes longer than asking a mount.
  const { openDrive } = await import('../../drive/drive.js');
  const drive = await openDrive(home, name, {
    command: 'pin',
    readOnly: true,
    keepsAll: true,
    offline,
    bootstrap,
    log,
  });
  try {
    const pinner = await drive.openPinner(offline);
    try {
      await pinner.pin(paths);
      if (offline) {
        await pinner.settled();
        return pinner.figures();
      }
      return await waitForPins(name, paths, async () => pinner.figures(), options.progress);
    } finally {
      await pinner.close();
    }
  } finally {
    await drive.close();
  }
}

/** Until all is here, or nothing has come for a while: a mount goes on by itself. */
async function waitForPins(
  name: string,
  paths: readonly string[],
  ask: () => Promise<PinFigures[]>,
  progress: ProgressLine,
): Promise<PinFigures[]> {
  let lastMs = performance.now();
  let before = '';
  for (;;) {
    const pins = (await ask()).filter(({ path }) => paths.includes(path));
    if (pins.every(isWhole)) return pins;
    const blocks = pins.reduce((sum, pin) => sum + pin.blocks, 0);
    const here = pins.reduce((sum, pin) => sum + pin.blocksHere, 0);
    const state = `${blocks}/${here}/${pins.map(({ files }) => files).join()}`;
    if (state !== before) lastMs = performance.now();
    else if (performance.now() - lastMs > limits.pin_stall_ms) return pins;
    before = state;
    progress.show(`${name}: fetching`, here, blocks);
    await sleep(LOOK_MS);
  }
}

async function figuresHere(home: Home, name: string): Promise<PinFigures[]> {
  const { write: log } = new LogFile(home.paths(name).log);
  // Loading it takes longer than asking a mount.
  const { openDrive } = await import('../../drive/drive.js');
  const drive = await openDrive(home, name, {
    command: 'pins',
    readOnly: true,
    keepsAll: true,
    offline: true,
    log,
  });
  try {
    const pinner = await drive.openPinner(true);
    await pinner.settled();
    const figures = pinner.figures();
    await pinner.close();
    return figures;
  } finally {
    await drive.close();
  }
}

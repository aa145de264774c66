import type { Command } from 'commander';
import { callControl } from '../../control/client.js';
import { LogFile } from '../../drive/log-file.js';
import { withFileSystem } from '../../drive/open-file-system.js';
import { pinPath } from '../../drive/pin-file.js';
import { runningHolder } from '../../drive/store-lock.js';
import { type CliContext, homeOf, printReport } from '../context.js';

/** With --wait a large directory takes long. */
const WAIT_MS_MAX = 24 * 3600 * 1000;

interface RmOptions {
  wait?: boolean;
  json?: boolean;
}

export function addRmCommand(program: Command, context: CliContext): void {
  program
    .command('rm')
    .description('remove a file, or a directory with everything in it, at once')
    .argument('<name>', 'a drive of this machine')
    .argument('<path>', 'a path within the drive')
    .option('--wait', 'wait until nothing of it is left in the tree')
    .option('--json', 'print JSON')
    .action(async (name: string, path: string, options: RmOptions) => {
      const home = homeOf(context);
      await home.read(name);
      const wait = options.wait === true;
      const holder = runningHolder(home.paths(name).lock);
      if (holder?.socket != null) {
        await callControl(holder.socket, 'remove', { path, wait }, WAIT_MS_MAX);
      } else {
        const { write: log } = new LogFile(home.paths(name).log);
        await withFileSystem(
          home,
          name,
          { command: 'rm', readOnly: false, log },
          async (session) => {
            await session.fileSystem.removeTree(path);
            if (wait) await session.fileSystem.removalsDone();
          },
        );
      }
      // As other commands call it, however it was typed.
      const shown = pinPath(path);
      printReport(context, options.json, { name, path: shown }, `removed '${shown}' from ${name}`);
    });
}

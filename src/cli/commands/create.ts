import type { Command } from 'commander';
import { formatCapability, weaken } from '../../drive/capability.js';
import { createDrive } from '../../drive/create-drive.js';
import { type CliContext, homeOf, printReport } from '../context.js';

export function addCreateCommand(program: Command, context: CliContext): void {
  program
    .command('create')
    .description('make a drive; prints its name and its read key')
    .argument('<name>', 'letters, digits, ".", "_" and "-"')
    .option('--json', 'print JSON')
    .action(async (name: string, options: { json?: boolean }) => {
      const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
      const record = await createDrive(homeOf(context), name, owner);
      const readKey = formatCapability(weaken(record.capability, 'read'));
      const text = `created ${name}\nread key ${readKey}`;
      printReport(context, options.json, { name, readKey }, text);
    });
}

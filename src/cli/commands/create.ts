import { type Command, Option } from 'commander';
import { formatCapability, weaken } from '../../drive/capability.js';
import { type Compression, compressions, createDrive } from '../../drive/create-drive.js';
import { type CliContext, homeOf, printReport } from '../context.js';

export function addCreateCommand(program: Command, context: CliContext): void {
  program
    .command('create')
    .description('make a drive; prints its name and its read key')
    .argument('<name>', 'letters, digits, ".", "_" and "-"')
    .addOption(
      new Option('--compression <method>', 'how data is compressed that gets smaller by it')
        .choices(compressions)
        .default('zstd'),
    )
    .option('--json', 'print JSON')
    .action(async (name: string, options: { json?: boolean; compression: Compression }) => {
      const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
      const record = await createDrive(homeOf(context), name, owner, {
        compression: options.compression,
      });
      const readKey = formatCapability(weaken(record.capability, 'read'));
      const text = `created ${name}\nread key ${readKey}`;
      printReport(context, options.json, { name, readKey }, text);
    });
}

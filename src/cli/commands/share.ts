import type { Command } from 'commander';
import {
  type Capability,
  type CapabilityType,
  formatCapability,
  hostCapability,
  weaken,
} from '../../drive/capability.js';
import type { DriveRecord } from '../../drive/home.js';
import { UsageError } from '../../errors.js';
import { type CliContext, homeOf, printReport } from '../context.js';

interface ShareOptions {
  read?: boolean;
  write?: boolean;
  host?: boolean;
  json?: boolean;
}

export function addShareCommand(program: Command, context: CliContext): void {
  program
    .command('share')
    .description('print a key to hand over')
    .argument('<name>', 'a drive of this machine')
    .option('--read', 'to mount and read it (the default)')
    .option('--write', 'to change it')
    .option('--host', 'to store and serve it without being able to read it')
    .option('--json', 'print JSON')
    .action(async (name: string, options: ShareOptions) => {
      const type = typeOf(options);
      const home = homeOf(context);
      const record = await home.read(name);
      const key = formatCapability(capabilityFor(record, type));
      if (type === 'write' && record.writeKeyShared !== true) {
        await home.update({ ...record, writeKeyShared: true });
      }
      printReport(context, options.json, { name, type, key }, key);
    });
}

function typeOf(options: ShareOptions): CapabilityType {
  const types = (['read', 'write', 'host'] as const).filter((type) => options[type] === true);
  if (types.length > 1) {
    throw new UsageError(`Cannot share with --${types.join(' and --')}: choose one`);
  }
  return types[0] ?? 'read';
}

function capabilityFor(record: DriveRecord, type: CapabilityType): Capability {
  const { capability, contentLogKey } = record;
  // A reader learns the content log's key from the drive itself.
  if (type === 'host' && capability.type === 'read' && contentLogKey !== null) {
    return hostCapability(capability.treeLogKey, contentLogKey);
  }
  return weaken(capability, type);
}

import { type Command, InvalidArgumentError } from 'commander';
import { UsageError } from '../../errors.js';
import { parsePort } from '../../swarm/address.js';
import { type CliContext, printReport } from '../context.js';

interface BootstrapOptions {
  port: number;
  host: string;
  json?: boolean;
}

export function addBootstrapCommand(program: Command, context: CliContext): void {
  program
    .command('bootstrap')
    .description('run a node of a private network; runs until it is ended')
    .requiredOption('--port <port>', 'UDP port (required)', portOption)
    .option('--host <address>', 'IPv4 address that others reach it at', '127.0.0.1')
    .option('--json', 'print JSON')
    .action(async (options: BootstrapOptions) => {
      const { startBootstrapNode } = await import('../../swarm/bootstrap.js');
      const node = await startBootstrapNode(options.host, options.port);
      const { host, port } = node;
      printReport(context, options.json, { host, port }, `bootstrap ${host}:${port}`);
      await new Promise<void>((resolve) => {
        process.once('SIGINT', () => resolve());
        process.once('SIGTERM', () => resolve());
      });
      await node.close();
    });
}

function portOption(text: string): number {
  try {
    return parsePort(text);
  } catch (error) {
    if (error instanceof UsageError) throw new InvalidArgumentError('It must be 1 to 65535.');
    throw error;
  }
}

/** Help, and the words for a command line that cannot be meant. */
import type { Command, CommanderError } from 'commander';
import { UsageError } from '../errors.js';

/** Commands that are only words before others, or have others behind them. */
const WITH_SUBCOMMANDS: readonly string[] = ['host', 'hosts'];

/** What `help`, `help mount` or `hosts help add` asks about, as words of a command; null for any other command line. */
export function helpTopic(parameters: readonly string[]): string[] | null {
  const [first = '', second = ''] = parameters;
  const isBehind = WITH_SUBCOMMANDS.includes(first) && second === 'help';
  if (first !== 'help' && !isBehind) return null;
  const words = isBehind ? [first, ...parameters.slice(2)] : parameters.slice(1);
  return words.filter((word) => word !== 'help' && !word.startsWith('-'));
}

/** The command that some words name. Throws UsageError when there is none of that name. */
export function commandNamed(program: Command, words: readonly string[]): Command {
  let command = program;
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) throw new UsageError(unknownCommand(command, word));
    command = next;
  }
  return command;
}

/** What the library says of a command line, in our form: "error: unknown option '--x'". */
export function usageErrorOf(
  error: CommanderError,
  program: Command,
  parameters: readonly string[],
): UsageError {
  const command = commandMeant(program, parameters);
  return new UsageError(describe(error, command), { cause: error });
}

function describe(error: CommanderError, command: Command): string {
  const unknown = command.args[0] ?? '';
  const hasSubcommands = subcommands(command).length > 0;
  // The library has no text for it: it prints the help.
  if (error.code === 'commander.help') {
    return `Cannot tell what to do: '${fullName(command)}' needs one of ${listed(command)} behind it`;
  }
  if (error.code === 'commander.excessArguments' && hasSubcommands) {
    return unknownCommand(command, unknown);
  }
  if (error.code === 'commander.unknownCommand' && command.parent !== null) {
    return unknownCommand(command, unknown);
  }
  const [first = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const text = first.replace(/\.$/, '');
  const near = /^\(Did you mean (.+)\?\)$/.exec(suggestion ?? '')?.[1];
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  const meant = near === undefined ? '' : ` (did you mean ${near}?)`;
  return `${sentence}${meant}; '${fullName(command)} --help' shows what there is`;
}

function unknownCommand(command: Command, word: string): string {
  const name = [...fullName(command).split(' ').slice(1), word].join(' ');
  const there =
    command.parent === null ? `'${fullName(command)} --help' shows all` : `use ${listed(command)}`;
  return `Unknown command '${name}'; ${there}`;
}

/** As far as the words go; options may stand between them. */
function commandMeant(program: Command, parameters: readonly string[]): Command {
  let command = program;
  for (const word of parameters) {
    command = command.commands.find((each) => each.name() === word) ?? command;
    if (command.commands.length === 0 && command !== program) break;
  }
  return command;
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}

function subcommands(command: Command): string[] {
  return command.commands.map((each) => each.name()).filter((name) => name !== 'help');
}

/** "add, list or remove". */
function listed(command: Command): string {
  const names = subcommands(command);
  return [names.slice(0, -1).join(', '), ...names.slice(-1)].filter(Boolean).join(' or ');
}

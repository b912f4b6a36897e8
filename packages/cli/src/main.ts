/**
 * The `kith` command: finds the command, parses its options, and turns every
 * expected failure into one line and a non-zero exit code.
 */
import { parseArgs } from 'node:util';
import { UsageError, type Command, type Output, type Values } from './command.ts';

/** Loaded when called, so that `--help` is quick and one command's faults are not another's. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./commands/start.ts')).start,
  migrate: async () => (await import('./commands/migrate.ts')).migrateCommand,
  seed: async () => (await import('./commands/seed.ts')).seed,
  backup: async () => (await import('./commands/backup.ts')).backup,
  restore: async () => (await import('./commands/restore.ts')).restore,
  doctor: async () => (await import('./commands/doctor.ts')).doctor,
  'user create': async () => (await import('./commands/user.ts')).userCreate,
  'plugin list': async () => (await import('./commands/plugins.ts')).pluginList,
  'plugin enable': async () => (await import('./commands/plugins.ts')).pluginEnable,
  'plugin disable': async () => (await import('./commands/plugins.ts')).pluginDisable,
  'plugin purge': async () => (await import('./commands/plugins.ts')).pluginPurge,
  'key create': async () => (await import('./commands/key.ts')).keyCreate,
  'plugin add': async () => (await import('./commands/plugin-add.ts')).pluginAdd,
  'plugin remove': async () => (await import('./commands/plugin-remove.ts')).pluginRemove,
  'plugin new': async () => (await import('./commands/plugin-new.ts')).pluginNew,
};

/** Errors that are meant for a person; the rest are defects and keep their stack. */
const EXPECTED = new Set(['UsageError', 'CommandError', 'EnvError', 'BootError', 'PostgresError', 'KithError']);

async function main(args: string[]): Promise<number> {
  const json = args.includes('--json');
  try {
    return await run(args, output(json));
  } catch (error) {
    if (!(error instanceof Error) || !EXPECTED.has(error.name)) throw error;
    const code = 'code' in error && typeof error.code === 'string' ? error.code : 'failed';
    process.stderr.write(json ? `${JSON.stringify({ error: { code, message: error.message } })}\n` : `${error.message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function run(args: string[], out: Output): Promise<number> {
  const name = [args.slice(0, 2).join(' '), args[0] ?? ''].find((one) => Object.hasOwn(commands, one));
  const load = name === undefined ? undefined : commands[name];
  if (name === undefined || !load) {
    const word = args.find((arg) => !arg.startsWith('-'));
    if (word !== undefined) throw new UsageError(unknownCommand(word, args[1]));
    out.result(await overview(), { commands: Object.keys(commands) });
    return args.length === 0 || args.includes('--help') || args.includes('-h') || args.includes('--json') ? 0 : 2;
  }
  const command = await load();
  const { values, positionals } = parse(command, name, args.slice(name.split(' ').length));
  if (values['help']) {
    out.result(helpOf(name, command), {
      command: name,
      summary: command.summary,
      usage: usageOf(name, command),
      options: command.help,
    });
    return 0;
  }
  const expected = command.positionals ?? [];
  if (positionals.length !== expected.length) {
    const missing = expected[positionals.length];
    throw new UsageError(
      missing === undefined
        ? `“${positionals[expected.length]}” is one argument too many. Usage: ${usageOf(name, command)}`
        : `${missing} is missing. Usage: ${usageOf(name, command)}`,
    );
  }
  return (await command.run({ values, positionals, out })) ?? 0;
}

function parse(command: Command, name: string, args: string[]): { values: Values; positionals: string[] } {
  try {
    return parseArgs({
      args,
      options: {
        ...command.options,
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
      },
      allowPositionals: true,
    });
  } catch (error) {
    const said = error instanceof Error ? (error.message.split('. ')[0] ?? '').replaceAll("'", '“').replace(/“([^“]*)“/g, '“$1”') : '';
    throw new UsageError(`${said.replace(/\.$/, '')}. Usage: ${usageOf(name, command)}`);
  }
}

function unknownCommand(word: string, second: string | undefined): string {
  const family = Object.keys(commands).filter((name) => name.startsWith(`${word} `));
  if (family.length > 0) {
    return `“${word}” needs one of: ${family.map((name) => name.slice(word.length + 1)).join(', ')}${second && !second.startsWith('-') ? ` (not “${second}”)` : ''}.`;
  }
  return `There is no command “${word}”. Commands: ${Object.keys(commands).join(', ')}.`;
}

async function overview(): Promise<string> {
  const lines = ['Usage: npm run kith -- <command> [options]', ''];
  for (const [name, load] of Object.entries(commands)) lines.push(`  ${name.padEnd(14)}${(await load()).summary}`);
  lines.push('', 'Each command has --help and --json.');
  return lines.join('\n');
}

function usageOf(name: string, command: Command): string {
  return `kith ${name} ${command.usage}`.trim();
}

function helpOf(name: string, command: Command): string {
  const options = [...command.help, ['--json', 'print the result as JSON'], ['--help', 'show this']] as const;
  const width = Math.max(...options.map(([option]) => option.length)) + 2;
  return [
    command.summary,
    '',
    `Usage: ${usageOf(name, command)}`,
    '',
    ...options.map(([option, meaning]) => `  ${option.padEnd(width)}${meaning}`),
  ].join('\n');
}

function output(json: boolean): Output {
  return {
    json,
    result: (text, data) => process.stdout.write(json ? `${JSON.stringify(data)}\n` : `${text}\n`),
    note: (line) => {
      if (!json) process.stderr.write(`${line}\n`);
    },
  };
}

process.exitCode = await main(process.argv.slice(2));
// The channel to the bootstrap would keep a finished command alive, and so would work that was broken off.
process.disconnect?.();
setTimeout(() => process.exit(), 1_000).unref();

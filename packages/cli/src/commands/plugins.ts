/** Commands that switch plugins, list them, and delete what those that left have stored. */
import readline from 'node:readline/promises';
import { CommandError, fileOf, optional, type Command, type Output } from '../command.ts';
import { core, envOf, withRuntime } from '../world.ts';
import type { PluginState, StoredData } from '@kith/core/runtime';

const DATA = ['--data DIR', 'data folder of the embedded database (KITH_DATA, .kith)'] as const;
const ID = 'ID';

const stateOf = ({ enabled, waits }: PluginState): string => (waits ? 'waits' : enabled ? 'on' : 'off');

export const pluginList: Command = {
  summary: 'List the plugins of this build, and what others have left in the database.',
  usage: '[--data DIR]',
  help: [DATA],
  options: { data: { type: 'string' } },
  async run({ values, out }) {
    await withRuntime(envOf(values), out, async (runtime) => {
      const { storedPlugins, orphanedPlugins } = await core();
      const { states } = runtime.plugins;
      const left = await orphanedPlugins(runtime);
      const stored = await storedPlugins(runtime, left);
      const rows = states.map((state) => ({
        id: state.plugin.id,
        version: state.plugin.version,
        part: state.plugin.part,
        state: stateOf(state),
        needs: (state.plugin.needs ?? []).map(({ plugin }) => plugin.id),
      }));
      const lines = [
        ...rows.map(({ id, version, part, state, needs }) =>
          [id.padEnd(16), version.padEnd(9), state.padEnd(6), part.padEnd(15), needs.length > 0 ? `needs ${needs.join(', ')}` : '']
            .join(' ')
            .trimEnd(),
        ),
        ...left.map((id) => `${id.padEnd(16)} ${'-'.padEnd(9)} left   ${sizeOf(stored.get(id)!)}; delete it with: kith plugin purge ${id}`),
      ];
      out.result(lines.join('\n'), { plugins: rows, orphans: left.map((id) => ({ id, stored: stored.get(id) })) });
    });
  },
};

const switching = (enabled: boolean): Command => ({
  summary: enabled
    ? 'Switch a plugin on, in every running process.'
    : 'Switch a plugin off, in every running process; what it stored stays.',
  usage: `${ID} [--data DIR]`,
  help: [DATA],
  options: { data: { type: 'string' } },
  positionals: [ID],
  async run({ values, positionals: [id], out }) {
    await withRuntime(envOf(values), out, async (runtime) => {
      await runtime.plugins.switch(id!, enabled, null);
      // Whoever runs hears of it before this ends.
      await runtime.bus.close();
      out.result(`${id} is ${enabled ? 'on' : 'off'}.`, { id, enabled });
    });
  },
});
export const pluginEnable = switching(true);
export const pluginDisable = switching(false);

export const pluginPurge: Command = {
  summary: 'Delete for good what a plugin that was removed has left; all of it is written to a file first.',
  usage: `${ID} [--export FILE] [--yes] [--data DIR]`,
  help: [['--export FILE', 'where to write it (purged/ in the data folder)'], ['--yes', 'do not ask'], DATA],
  options: { export: { type: 'string' }, yes: { type: 'boolean' }, data: { type: 'string' } },
  positionals: [ID],
  async run({ values, positionals: [id], out }) {
    await withRuntime(envOf(values), out, async (runtime) => {
      const { orphanedPlugins, storedPlugins, purgePlugin, purgedFile } = await core();
      const left = await orphanedPlugins(runtime);
      if (runtime.model.installed.plugins.has(id!))
        throw new CommandError(
          'in_build',
          `“${id}” is in this build: take it out with “npm run kith -- plugin remove ${id}”, and purge it then.`,
        );
      if (!left.includes(id!))
        throw new CommandError(
          'not_found',
          `“${id}” has left nothing in the database${left.length > 0 ? `; what has: ${left.join(', ')}` : ''}.`,
        );
      const stored = (await storedPlugins(runtime, [id!])).get(id!)!;
      if (values['yes'] !== true) await ask(id!, stored, out);
      const wanted = optional(values, 'export');
      const file = wanted === undefined ? purgedFile(runtime, id!) : fileOf(wanted);
      await purgePlugin(runtime, id!, file);
      out.result(`${id} is purged. What it held is in ${file}.`, { id, file, stored });
    });
  },
};

const sizeOf = ({ tables, columns, files }: StoredData): string => {
  const rows = tables.reduce((sum, one) => sum + one.rows, 0);
  return `${rows} rows in ${tables.length} tables${files.count > 0 ? `, ${files.count} files` : ''}${columns.length > 0 ? `, ${columns.length} columns in others’` : ''}`;
};

async function ask(id: string, stored: StoredData, out: Output): Promise<void> {
  if (!process.stdin.isTTY || out.json)
    throw new CommandError('unconfirmed', `This deletes ${sizeOf(stored)} of “${id}” for good. Say so with --yes.`);
  for (const { name, rows, exact } of stored.tables) process.stderr.write(`  ${name.padEnd(34)} ${exact ? '' : 'about '}${rows} rows\n`);
  for (const { table, column, rows, exact } of stored.columns)
    process.stderr.write(`  ${`${table}.${column}`.padEnd(34)} ${exact ? '' : 'about '}${rows} values\n`);
  if (stored.files.count > 0) process.stderr.write(`  ${'files'.padEnd(34)} ${stored.files.count}\n`);
  const lines = readline.createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines.question(`All of this is written to a file and then deleted. Type ${id} to go on: `);
  lines.close();
  if (answer.trim() !== id) throw new CommandError('unconfirmed', 'Nothing was deleted.');
}

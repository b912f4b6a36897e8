import { migrate } from '@kith/core/runtime';
import { plugins } from '@kith/installed/plugins';
import { servers } from '@kith/installed/server';
import type { Command } from '../command.ts';
import { envOf, withDatabase } from '../world.ts';

export const migrateCommand: Command = {
  summary: 'Bring the database to what this version and its plugins declare.',
  usage: '[--data DIR]',
  help: [['--data DIR', 'data folder of the embedded database (KITH_DATA, .kith)']],
  options: { data: { type: 'string' } },
  async run({ values, out }) {
    const { applied } = await withDatabase(envOf(values), out, (databaseUrl) => migrate({ plugins, servers, databaseUrl }));
    const text = applied.length === 0 ? 'The database is up to date.' : ['Applied:', ...applied.map((one) => `  ${one}`)].join('\n');
    out.result(text, { applied });
  },
};

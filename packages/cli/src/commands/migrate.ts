import type { Command } from '../command.ts';
import { core, envOf, installed, withDatabase } from '../world.ts';

export const migrateCommand: Command = {
  summary: 'Bring the database to what this version and its plugins declare.',
  usage: '[--data DIR]',
  help: [['--data DIR', 'data folder of the embedded database (KITH_DATA, .kith)']],
  options: { data: { type: 'string' } },
  async run({ values, out }) {
    const { applied } = await withDatabase(envOf(values), out, async (databaseUrl) => {
      const { migrate } = await core();
      return migrate({ ...(await installed()), databaseUrl });
    });
    const text = applied.length === 0 ? 'The database is up to date.' : ['Applied:', ...applied.map((one) => `  ${one}`)].join('\n');
    out.result(text, { applied });
  },
};

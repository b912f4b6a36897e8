import { fileOf, type Command } from '../command.ts';
import { core, envOf, installed, withDatabase } from '../world.ts';

export const backup: Command = {
  summary: 'Write everything to one file, as of one moment, while people work.',
  usage: 'FILE [--data DIR]',
  help: [
    ['FILE', 'where to, such as kith-2026-01-31.backup; must not exist'],
    ['--data DIR', 'data folder of the embedded database (KITH_DATA, .kith)'],
  ],
  options: { data: { type: 'string' } },
  positionals: ['FILE'],
  async run({ values, positionals, out }) {
    const env = envOf(values);
    const file = fileOf(positionals[0]!);
    const done = await withDatabase(env, out, async (databaseUrl) => {
      const { backup: write } = await core();
      return write({ ...(await installed()), databaseUrl, env, file });
    });
    out.result(
      `${file}: ${done.rows} rows of ${done.tables} tables, ${done.documents} documents, ${done.files} files, ${(done.bytes / 1e6).toFixed(1)} MB.\nKITH_SECRET is not in it: keep that apart, and as safe.`,
      done,
    );
  },
};

import { fileOf, type Command } from '../command.ts';
import { core, envOf, installed, withDatabase } from '../world.ts';

export const restore: Command = {
  summary: 'Fill an empty database from a backup.',
  usage: 'FILE [--data DIR]',
  help: [
    ['FILE', 'what “kith backup” wrote'],
    ['--data DIR', 'a new data folder for the embedded database (KITH_DATA, .kith)'],
  ],
  options: { data: { type: 'string' } },
  positionals: ['FILE'],
  async run({ values, positionals, out }) {
    const env = envOf(values);
    const file = fileOf(positionals[0]!);
    const done = await withDatabase(env, out, async (databaseUrl) => {
      const { restore: read } = await core();
      return read({ ...(await installed()), databaseUrl, env, file, note: out.note });
    });
    const orphans =
      done.orphans.length === 0
        ? ''
        : `\nNot in this build, and kept: the data of ${done.orphans.join(', ')}. Install these plugins again to use it.`;
    out.result(
      `Restored as of ${done.createdAt}: ${done.rows} rows, ${done.documents} documents, ${done.files} files. Everybody signs in anew.${orphans}`,
      done,
    );
  },
};

import fs from 'node:fs';
import path from 'node:path';
import type { Command } from '../command.ts';
import { core, envOf, installed, withDatabase } from '../world.ts';

const MARKS = { ok: 'ok     ', warning: 'look   ', broken: 'BROKEN ' };

export const doctor: Command = {
  summary: 'Look at everything that Kith stands on, and say what to do.',
  usage: '[--data DIR]',
  help: [['--data DIR', 'data folder (KITH_DATA, .kith)']],
  options: { data: { type: 'string' } },
  async run({ values, out }) {
    const env = envOf(values);
    const { checkDatabase, checkMachine } = await core();
    const checks = await checkMachine(env);
    if (env.databaseUrl === undefined && !fs.existsSync(path.join(env.dataDir, 'postgres'))) {
      checks.push({ name: 'postgres', verdict: 'warning', says: 'There is no database yet.', todo: '“npm start” makes one.' });
    } else {
      const guests = await installed();
      checks.push(
        ...(await withDatabase(env, out, (url) => checkDatabase({ url, ...guests, publicHost: env.publicHost, secret: env.secret }))),
      );
    }
    const broken = checks.filter(({ verdict }) => verdict === 'broken').length;
    const width = Math.max(...checks.map(({ name }) => name.length)) + 2;
    out.result(
      checks
        .map(({ name, verdict, says, todo }) => `${MARKS[verdict]}${name.padEnd(width)}${says}${todo === undefined ? '' : ` → ${todo}`}`)
        .join('\n'),
      { broken, checks },
    );
    return broken > 0 ? 1 : 0;
  },
};

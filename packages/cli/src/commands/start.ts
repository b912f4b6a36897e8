import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Env } from '@kith/core/env';
import { CommandError, UsageError, optional, type Command } from '../command.ts';
import { loginsText, type Login } from '../demo.ts';
import { acquireLock } from '../lock.ts';
import type { RoleName } from '../supervisor.ts';
import { envOf } from '../world.ts';

const ROLES: readonly RoleName[] = ['web', 'worker'];

export const start: Command = {
  summary: 'Start Kith: the database unless DATABASE_URL is set, the web and the worker.',
  usage: '[--roles web,worker] [--port N] [--data DIR] [--demo northwind|none]',
  help: [
    ['--roles LIST', 'which processes: web, worker, or both (web,worker)'],
    ['--port N', 'port of the web (PORT, 5173)'],
    ['--data DIR', 'data folder (KITH_DATA, .kith)'],
    ['--demo NAME', 'northwind or none: what a first start loads (KITH_DEMO)'],
    ['--watch', 'for development: reload when sources change'],
  ],
  options: {
    roles: { type: 'string' },
    port: { type: 'string' },
    data: { type: 'string' },
    demo: { type: 'string' },
    watch: { type: 'boolean' },
  },
  async run({ values, out }) {
    const roles = rolesOf(optional(values, 'roles'));
    const env = envOf(values);
    const { isBuilt, supervise } = await import('../supervisor.ts');
    if (roles.includes('web') && values['watch'] !== true && !isBuilt()) {
      throw new CommandError(
        'not_built',
        'The web app is not built yet. “npm start” and “npm run kith -- start” build it when sources changed.',
      );
    }
    // With a database of one's own, other processes share it, and nothing in the folder is exclusive.
    const lock = env.databaseUrl === undefined ? await acquireLock(env.dataDir, 'start') : undefined;
    try {
      if (roles.includes('web')) await checkPort(env);
      let logins: readonly Login[] = [];
      return await supervise({
        env,
        roles,
        watch: values['watch'] === true,
        note: out.note,
        prepare: async (databaseUrl) => {
          const { prepare } = await import('../prepare.ts');
          logins = await prepare(env, databaseUrl, out);
        },
        ready: (url) => {
          if (logins.length > 0) out.result(`\n${loginsText(logins)}`, { demo: 'northwind', logins });
          process.stdout.write(`ready ${url ?? roles.join(',')}\n`);
        },
      });
    } finally {
      lock?.release();
    }
  },
};

function rolesOf(value: string | undefined): readonly RoleName[] {
  if (value === undefined) return ROLES;
  const names = value.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !ROLES.some((role) => role === name));
  if (unknown !== undefined) throw new UsageError(`--roles names “${unknown}”, but it may hold only: ${ROLES.join(', ')}.`);
  return ROLES.filter((role) => names.includes(role));
}

/** Says before anything is started that the port is taken. The web of a start that was just killed gets a moment to go. */
async function checkPort({ port, host }: Env): Promise<void> {
  if (port === 0) return;
  let error = await tryPort(port, host);
  for (let patience = 30; error?.code === 'EADDRINUSE' && patience > 0; patience -= 1) {
    await sleep(100);
    error = await tryPort(port, host);
  }
  if (!error) return;
  if (error.code === 'EADDRINUSE') {
    throw new CommandError('port_taken', `Port ${port} on ${host} is taken. Stop what uses it, or choose another with --port or PORT.`);
  }
  if (error.code === 'EACCES') {
    throw new CommandError('port_denied', `This user may not open port ${port}. Choose one above 1023 with --port or PORT.`);
  }
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') {
    throw new CommandError('host_unknown', `HOST is “${host}”, which is no address of this machine. Use 127.0.0.1, or 0.0.0.0 for all.`);
  }
  throw error;
}

function tryPort(port: number, host: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', resolve);
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

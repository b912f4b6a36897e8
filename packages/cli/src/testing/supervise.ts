/** Runs the supervisor with stand-ins for the roles, as a process that a test can kill. */
import path from 'node:path';
import { readEnv } from '@kith/core/env';
import { supervise } from '../supervisor.ts';

const role = path.join(import.meta.dirname, 'role.ts');
try {
  process.exitCode = await supervise({
    env: readEnv(),
    roles: ['web', 'worker'],
    watch: false,
    mains: { web: role, worker: role },
    note: (line) => console.log(`note ${line}`),
    prepare: async (url) => console.log(`prepared ${url}`),
    ready: (url) => console.log(`ready ${url}`),
  });
} catch (error) {
  console.log(`error ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

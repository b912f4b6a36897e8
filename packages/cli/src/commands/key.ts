import { required, type Command } from '../command.ts';
import { core, envOf, withRuntime } from '../world.ts';
import { ROLES, roleOf } from './user.ts';

export const keyCreate: Command = {
  summary: 'Create an API key and print it once.',
  usage: '--name N --role R [--data DIR]',
  help: [
    ['--name N', 'what the key is for'],
    ['--role R', `what it may do: ${ROLES.join(', ')}`],
    ['--data DIR', 'data folder of the embedded database (KITH_DATA, .kith)'],
  ],
  options: { name: { type: 'string' }, role: { type: 'string' }, data: { type: 'string' } },
  async run({ values, out }) {
    const name = required(values, 'name', '"Nightly import"');
    const role = roleOf(required(values, 'role', 'member'));
    const made = await withRuntime(envOf(values), out, async (runtime) => (await core()).createKey(runtime, { name, role }));
    // The key alone on standard output, so that a script can take it.
    out.note('The key, shown once; send it as “Authorization: Bearer <key>”:');
    out.result(made.key, { id: made.id, name, role, key: made.key });
  },
};

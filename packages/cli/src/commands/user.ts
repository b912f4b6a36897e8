import { required, optional, UsageError, type Command } from '../command.ts';
import { core, envOf, withRuntime } from '../world.ts';

export const ROLES = ['admin', 'manager', 'member', 'reader'] as const;
export type RoleName = (typeof ROLES)[number];

/** The role of an option, or a refusal that lists the choice. */
export function roleOf(value: string): RoleName {
  const role = ROLES.find((one) => one === value);
  if (!role) throw new UsageError(`--role is “${value}”, but it must be one of: ${ROLES.join(', ')}.`);
  return role;
}

export const userCreate: Command = {
  summary: 'Create a member of staff.',
  usage: '--email E --role R [--name N] [--password P] [--data DIR]',
  help: [
    ['--email E', 'with which to sign in'],
    ['--role R', ROLES.join(', ')],
    ['--name N', 'shown to colleagues'],
    ['--password P', 'at least 8 characters; without it one is made and printed once'],
    ['--data DIR', 'data folder of the embedded database (KITH_DATA, .kith)'],
  ],
  options: {
    email: { type: 'string' },
    role: { type: 'string' },
    name: { type: 'string' },
    password: { type: 'string' },
    data: { type: 'string' },
  },
  async run({ values, out }) {
    const email = required(values, 'email', 'nancy@example.com');
    if (!/^[^\s@]+@[^\s@]+$/.test(email)) throw new UsageError(`--email is “${email}”, but it must be an email address.`);
    const role = roleOf(required(values, 'role', 'member'));
    const name = optional(values, 'name');
    const password = optional(values, 'password');
    if (password !== undefined && password.length < 8) throw new UsageError('--password is too short: use at least 8 characters.');
    const made = await withRuntime(envOf(values), out, async (runtime) =>
      (await core()).createUser(runtime, {
        email,
        role,
        ...(name === undefined ? {} : { name }),
        ...(password === undefined ? {} : { password }),
      }),
    );
    const lines = [`Created ${email} as ${role}.`];
    if (password === undefined) lines.push(`Password, shown once: ${made.password}`);
    out.result(lines.join('\n'), { id: made.id, email, role, ...(password === undefined ? { password: made.password } : {}) });
  },
};

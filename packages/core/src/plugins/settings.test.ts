/** What administrators say to plugins, and that secrets stay secret. */
import { boolean, date, definePlugin, defineServer, email, longText, number, secret, select, text, url, type Json } from '@kith/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLog } from '../log.ts';
import { checkDatabase } from '../runtime.ts';
import { createTestWorld, testEnv, type TestWorld } from '../testing.ts';

const till = definePlugin({
  id: 'till',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  locales: { en: { 'plugin.till': 'Till', 'setting.fee': 'Fee', 'setting.fee.help': 'Per day.', 'option.setting.tone.loud': 'Loud' } },
  settings: {
    fee: number({ default: 2, min: 0 }),
    tone: select({ options: { loud: {}, low: {} } }),
    footer: longText(),
    title: text({ max: 10 }),
    open: boolean({ default: true }),
    since: date({ default: 'today' }),
    mail: email(),
    site: url(),
    apiKey: secret(),
    pin: secret(),
  },
});
const seen: Json[] = [];
const server = defineServer(till, {
  routes: [
    {
      method: 'GET',
      path: '/known',
      access: 'staff',
      summary: 'What it was told',
      handle: async (_call, ctx) => {
        const { apiKey, pin } = await ctx.secrets();
        return { body: { ...(await ctx.settings()), apiKey: apiKey?.length ?? null, pin: pin?.length ?? null } };
      },
    },
  ],
  jobs: {
    ring: {
      prepare: () => Promise.resolve({}),
      call: async (_data, { settings, secrets }) => {
        seen.push({ fee: (await settings()).fee, key: (await secrets()).apiKey });
        return { state: 'sent', result: null };
      },
      finish: () => Promise.resolve(),
    },
  },
});

let world: TestWorld;
beforeAll(async () => {
  world = await createTestWorld({ plugins: [server], clock: '2026-05-04T10:00:00Z' });
});
afterAll(() => world.close());
const change = (body: object): ReturnType<typeof world.api> => world.api('PATCH', '/plugins/till/settings', body);
const known = async (): Promise<Record<string, Json>> => (await world.api<Record<string, Json>>('GET', '/x/till/known')).body;
const SECRET = 'correct-horse-battery';

it('reads what was said with the defaults of what was not, and takes null for nothing said', async () => {
  const none = { tone: null, footer: null, title: null, mail: null, site: null, apiKey: null, pin: null };
  expect(await known()).toEqual({ ...none, fee: 2, open: true, since: '2026-05-04' });
  expect((await change({ fee: 0, tone: 'loud', open: false, since: '2026-01-01', footer: 'a\nb', title: 'Till' })).status).toBe(200);
  const told = { ...none, fee: 0, tone: 'loud', open: false, since: '2026-01-01', footer: 'a\nb', title: 'Till' };
  expect(await known()).toEqual(told);
  expect((await change({ fee: null, title: '' })).status).toBe(200);
  expect(await known()).toEqual({ ...told, fee: 2, title: null });
});

it('refuses what does not fit, by its key, and keeps nothing of it', async () => {
  const before = await known();
  const refused = await change({
    fee: -1,
    tone: 'off',
    mail: 'x',
    site: 'ftp://x',
    title: 'much too long',
    apiKey: 7,
    nothing: 1,
    footer: 'new',
  });
  expect(refused.status).toBe(422);
  const { errors } = refused.body as { errors: { field: string; code: string }[] };
  expect(Object.fromEntries(errors.map(({ field, code }) => [field, code]))).toEqual({
    fee: 'too_small',
    tone: 'unknown_option',
    mail: 'invalid',
    site: 'invalid',
    title: 'too_long',
    apiKey: 'invalid',
    nothing: 'unknown_field',
  });
  expect(await known()).toEqual(before);
  expect((await world.api('GET', '/plugins/tlil/settings')).status).toBe(404);
});

it('describes them for a form, and of secrets says only whether there are any', async () => {
  const { body } = await change({ fee: 3, apiKey: SECRET });
  const { data } = body as { data: Record<string, unknown>[] };
  expect(data.map(({ name }) => name)).toEqual(Object.keys(till.settings!));
  expect(data[0]).toMatchObject({
    label: 'Fee',
    help: 'Per day.',
    type: 'number',
    min: 0,
    default: 2,
    value: 3,
    set: true,
    changedBy: world.me.id,
  });
  expect(data[1]).toMatchObject({ options: [{ value: 'loud', label: 'Loud' }, { value: 'low' }] });
  expect(data.slice(-2)).toMatchObject([
    { type: 'secret', set: true, unreadable: false },
    { type: 'secret', set: false },
  ]);
  expect(await known()).toMatchObject({ fee: 3, apiKey: SECRET.length, pin: null });
  for (const path of ['/plugins/till/settings', '/plugins/till', '/plugins', '/openapi.json', '/objects'])
    expect(JSON.stringify((await world.api('GET', path)).body), path).not.toContain(SECRET);
  const { body: list } = await world.api<{ data: { id: string; contributes: { settings: number } }[] }>('GET', '/plugins');
  expect(list.data.find(({ id }) => id === 'till')?.contributes.settings).toBe(10);
});

it('is at hand outside of transactions, and at once in every process', async () => {
  await change({ fee: 5, apiKey: SECRET });
  await world.run(till, (ctx) => ctx.queue('ring', {}));
  await world.settled();
  expect(seen).toEqual([{ fee: 5, key: SECRET }]);
  const other = await world.another();
  expect(await other.settings.values('till')).toMatchObject({ fee: 5 });
});

it('stores a secret so that nobody reads it there, moves it or reads it with another KITH_SECRET', async () => {
  const { pool } = world.runtime;
  await change({ apiKey: SECRET, pin: null });
  const stored = async (): Promise<Buffer> =>
    (await pool.query<{ secret: Buffer }>(`select secret from kith.plugin_setting where name = 'apiKey'`)).rows[0]!.secret;
  const first = await stored();
  expect(first.includes(SECRET)).toBe(false);
  await change({ apiKey: SECRET });
  // Never twice the same bytes for the same secret.
  expect(first.equals(await stored())).toBe(false);

  const lines: string[] = [];
  const write = process.stderr.write.bind(process.stderr);
  process.stderr.write = (line: string | Uint8Array) => lines.push(String(line)) > 0;
  try {
    const env = { ...testEnv(world.databaseUrl), secret: 'another-secret-of-more-than-thirty-two-characters' };
    const moved = await world.another({ env, log: createLog('debug') });
    expect(await moved.settings.list('till')).toContainEqual(expect.objectContaining({ name: 'apiKey', set: true, unreadable: true }));
    const key = await world.key();
    const answer = await moved.api.handle(
      new Request('http://kith.internal/api/v1/x/till/known', { headers: { authorization: `Bearer ${key}` } }),
      { ip: '127.0.0.1' },
    );
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain('apiKey');
  } finally {
    process.stderr.write = write;
  }
  expect(lines.join('')).toContain('The secret till.apiKey was stored under another KITH_SECRET');
  expect(lines.join('')).not.toContain(SECRET);
  const look = async (with_: string): Promise<unknown> =>
    (await checkDatabase({ plugins: [till], servers: [server], url: world.databaseUrl, publicHost: false, secret: with_ })).find(
      ({ name }) => name === 'secrets',
    );
  expect(await look(testEnv('').secret)).toMatchObject({ verdict: 'ok' });
  expect(await look('another-secret-of-more-than-thirty-two-characters')).toMatchObject({
    verdict: 'broken',
    says: 'till.apiKey cannot be read: stored under another KITH_SECRET.',
  });

  await pool.query(`update kith.plugin_setting set name = 'pin' where name = 'apiKey'`);
  expect((await world.api('GET', '/x/till/known')).status).toBe(500);
  // Entered anew, all is well.
  await change({ pin: '1234' });
  expect(await known()).toMatchObject({ apiKey: null, pin: 4 });
});

it('goes with the plugin’s switch, and can be said before it is on', async () => {
  await change({ fee: 9 });
  expect((await world.api('POST', '/plugins/till/disable', {})).status).toBe(200);
  expect((await world.api('GET', '/x/till/known')).status).toBe(404);
  expect((await change({ fee: 10 })).status).toBe(200);
  expect((await world.api('POST', '/plugins/till/enable', {})).status).toBe(200);
  expect(await known()).toMatchObject({ fee: 10 });
});

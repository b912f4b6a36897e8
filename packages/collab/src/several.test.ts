/**
 * Two webs and two workers, started by hand on one Postgres and one Redis, with
 * people typing and programs writing: restarted one after another, nobody notices
 * more than “saving”; and with one of each killed, all is there once.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createDatabase, dropDatabase } from '@kith/core/postgres/embedded';
import { openPool } from '@kith/core/database';
import { hasRedis, startRedis, type TestRedis } from '@kith/core/testing/redis';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, hasNginx, kith, startNginx, startProcess, startProxy, type Process } from '../testing/cluster.ts';
import { openBrowser, visit, type Visitor } from '../testing/visitor.ts';
import { connectTo, until, type Client } from '../testing/world.ts';

const built = existsSync(path.join(import.meta.dirname, '../../../apps/web/build/handler.js'));
const COMPANY = 'contacts.company';

describe.skipIf(!built)('two webs and two workers', () => {
  let folder: string;
  let database: string;
  let redis: TestRedis | undefined;
  let webs: Process[];
  let workers: Process[];
  let proxy: { port: number; close: () => Promise<void> };
  let pool: pg.Pool;
  let key: string;
  let variables: Record<string, string>;
  const name = `kith_several_${randomBytes(4).toString('hex')}`;
  const postgres = process.env['KITH_TEST_POSTGRES']!;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'kith-several-'));
    database = await createDatabase(postgres, name);
    redis = hasRedis() ? await startRedis() : undefined;
    const entrance = await freePort();
    variables = {
      ORIGIN: `http://127.0.0.1:${entrance}`,
      DATABASE_URL: database,
      KITH_SECRET: randomBytes(32).toString('hex'),
      KITH_DATA: folder,
      LOG_LEVEL: 'warn',
      KITH_DRAIN_SECONDS: '4',
      ...(redis ? { REDIS_URL: redis.url } : {}),
    };
    // All four at once on an empty database: one migrates, the others wait for it.
    const all = await Promise.all((['web', 'web', 'worker', 'worker'] as const).map((role) => startProcess(role, variables)));
    webs = all.slice(0, 2);
    workers = all.slice(2);
    const ports = webs.map(({ port }) => port);
    proxy = hasNginx() ? await startNginx(ports, entrance) : await startProxy(ports, entrance);
    pool = openPool(database, 2, 'test');
    key = (JSON.parse(kith(['key', 'create', '--name', 'test', '--role', 'admin', '--json'], variables)) as { key: string }).key;
    const made = await call('POST', '/records/automation.workflow', {
      name: 'Greets',
      enabled: true,
      definition: JSON.stringify({
        trigger: { on: 'created', object: COMPANY },
        steps: [{ id: 'greet', kind: 'create', object: 'contacts.task', fields: { title: 'Greet {{record.name}}' } }],
      }),
    });
    expect(made.status).toBe(201);
  }, 120_000);
  afterAll(async () => {
    await pool?.end();
    await proxy?.close();
    await Promise.all([...(webs ?? []), ...(workers ?? [])].map((one) => one.stop()));
    await redis?.stop();
    await dropDatabase(postgres, name);
    await rm(folder, { recursive: true, force: true });
  });

  const call = async (
    method: string,
    to: string,
    body: unknown,
    once: string = crypto.randomUUID(),
  ): Promise<{ status: number; body: { id: string } }> => {
    const response = await fetch(`http://127.0.0.1:${proxy.port}/api/v1${to}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'idempotency-key': once },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as { id: string } };
  };
  const company = async (called: string): Promise<string> => (await call('POST', `/records/${COMPANY}`, { name: called })).body.id;

  /** People at records, who type until they are told to stop. */
  async function people(ids: readonly string[]): Promise<{ stop: () => Promise<void>; clients: Client[]; typed: Map<string, number> }> {
    const node = { url: `ws://127.0.0.1:${proxy.port}` } as Parameters<typeof connectTo>[0];
    const typed = new Map<string, number>(ids.map((id) => [id, 0]));
    const clients = ids.flatMap((id) =>
      [0, 1].map(() => connectTo(node, { object: COMPANY, id, facet: 'staff', headers: { authorization: `Bearer ${key}` } })),
    );
    await until(() => clients.every(({ provider }) => provider.synced), 'everybody is in', 30_000);
    let going = true;
    const typing = (async () => {
      for (let i = 0; going; i++) {
        const at = i % clients.length;
        const id = ids[Math.floor(at / 2)]!;
        const n = typed.get(id)!;
        clients[at]!.doc.getText('summary').insert(0, `<${n}>`);
        typed.set(id, n + 1);
        await new Promise((resolve) => setTimeout(resolve, 4));
      }
    })();
    return {
      clients,
      typed,
      stop: async () => {
        going = false;
        await typing;
        await until(() => clients.every(({ provider }) => provider.synced), 'everybody is back', 40_000);
        await Promise.all(clients.map((one) => one.saved()));
      },
    };
  }
  /** Every character is there once, in the columns and at everybody’s. */
  async function everythingOnce(
    ids: readonly string[],
    { clients, typed }: { clients: Client[]; typed: Map<string, number> },
  ): Promise<void> {
    for (const [i, id] of ids.entries()) {
      await until(async () => {
        const { rows } = await pool.query<{ summary: string }>('select summary from contacts.company where id = $1', [id]);
        const tokens = [...(rows[0]?.summary ?? '').matchAll(/<(\d+)>/g)].map((found) => Number(found[1]));
        return tokens.length === typed.get(id) && new Set(tokens).size === tokens.length;
      }, `all of ${id}`);
      const [one, other] = clients.slice(2 * i, 2 * i + 2).map(({ doc }) => doc.getText('summary').toString());
      expect(one).toBe(other);
    }
  }

  const sorted = (text: string): string => [...text].sort().join('');
  /** Two people with browsers at one record, who type into one field until they are told to stop. */
  async function twoAtOne(
    browser: Awaited<ReturnType<typeof openBrowser>>,
    id: string,
  ): Promise<{ all: Visitor[]; typing: () => Promise<string[]>; stop: () => Promise<void> }> {
    const all = await Promise.all(
      ['ann', 'ben'].map((who) => {
        const person = { email: `${who}@example.com`, password: 'kith-kith-kith' };
        kith(['user', 'create', '--email', person.email, '--role', 'member', '--password', person.password], variables);
        return visit(browser, variables['ORIGIN']!, person, `${COMPANY}/${id}`);
      }),
    );
    let going = true;
    let ended: Promise<string[]> = Promise.resolve([]);
    return {
      all,
      typing: () =>
        (ended = Promise.all(
          all.map(async ({ page }, who) => {
            await page.getByLabel('Summary').click();
            let typed = '';
            for (let n = 0; going; n++) {
              const word = `${who ? 'b' : 'a'}${n} `;
              await page.keyboard.type(word, { delay: 20 });
              typed += word;
            }
            return typed;
          }),
        )),
      stop: async () => {
        going = false;
        await ended;
      },
    };
  }

  it('are restarted one after another under people who type: nothing is lost, and nobody sees worse than “saving”', async () => {
    const ids = await Promise.all(['North', 'East', 'South', 'West'].map(company));
    const crowd = await people(ids);
    const browser = await openBrowser();
    const visitors = await twoAtOne(browser, await company('Middle'));
    const written = visitors.typing();
    // Requests go on too, and each is answered.
    const answers: number[] = [];
    let going = true;
    const requests = (async () => {
      while (going) {
        const response = await fetch(`http://127.0.0.1:${proxy.port}/api/v1/records/${COMPANY}/${ids[0]}`, {
          headers: { authorization: `Bearer ${key}` },
        });
        await response.arrayBuffer();
        answers.push(response.status);
      }
    })();
    // It says that it is leaving while it still serves.
    const leaving = webs[0]!.stop();
    const at = (to: string): Promise<number> => fetch(`http://127.0.0.1:${webs[0]!.port}${to}`).then(({ status }) => status);
    await until(async () => (await at('/readyz')) === 503, 'it says so');
    expect(await at('/healthz')).toBe(200);
    await leaving;
    await webs[0]!.start();
    await webs[1]!.restart();
    await workers[0]!.restart();
    going = false;
    await requests;
    await crowd.stop();
    await everythingOnce(ids, crowd);
    await visitors.stop();
    const words = await written;
    for (const { page, words: said, faults } of visitors.all) {
      await page.getByRole('status', { name: 'State of saving' }).filter({ hasText: 'Saved' }).waitFor({ timeout: 30_000 });
      expect((await said()).sort()).toEqual(['Saved', 'Saving']);
      expect(await faults()).toEqual([]);
      await until(
        async () => sorted(await page.getByLabel('Summary').inputValue()) === sorted(words.join('')),
        'all that both typed',
        20_000,
      );
    }
    await browser.close();
    for (const { closes, notices } of crowd.clients) {
      expect(closes.filter((code) => code >= 4_000)).toEqual([]);
      expect(notices).toEqual([]);
    }
    // Each web sent its people away, and they were sent with a word.
    expect(crowd.clients.flatMap(({ closes }) => closes)).toContain(1_012);
    expect(new Set(answers)).toEqual(new Set([200]));
    for (const one of [...webs, ...workers]) expect(one.output()).not.toMatch(/"level":"error"/);
    crowd.clients.forEach((one) => one.leave());
  }, 180_000);

  it('lose and double nothing when one of each is killed under load', async () => {
    const ids = await Promise.all(['Up', 'Down'].map(company));
    const crowd = await people(ids);
    const made: string[] = [];
    let going = true;
    const programs = (async () => {
      for (let n = 0; going; n++) {
        const once = crypto.randomUUID();
        // As a program should: the same request again until it is answered.
        for (;;) {
          const answer = await call('POST', `/records/${COMPANY}`, { name: `Load ${n}` }, once).catch(() => undefined);
          if (answer?.status === 201) {
            made.push(answer.body.id);
            break;
          }
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    })();
    await until(() => made.length >= 20, 'some load', 30_000);
    webs[0]!.kill();
    workers[0]!.kill();
    await until(() => made.length >= 60, 'load on what is left', 60_000);
    await Promise.all([webs[0]!.start(), workers[0]!.start()]);
    going = false;
    await programs;
    await crowd.stop();
    await everythingOnce(ids, crowd);
    // Each company is there once, and was greeted once.
    const left = `select (select count(*) from kith.outbox) + (select count(*) from kith.job where state <> 'parked' and handler not like '%.nightly')
      + (select count(*) from automation.run where status in ('waiting', 'running')) as n`;
    await until(async () => (await pool.query<{ n: number }>(left)).rows[0]!.n === 0, 'all work is done', 60_000);
    const { rows } = await pool.query<{ id: string; companies: number; tasks: number }>(
      `select c.id, (select count(*) from contacts.company o where o.name = c.name) as companies,
         (select count(*) from contacts.task t where t.title = 'Greet ' || c.name) as tasks from contacts.company c where c.name like 'Load %'`,
    );
    expect(rows.map(({ id }) => id).sort()).toEqual([...made].sort());
    expect(rows.filter(({ companies, tasks }) => companies !== 1 || tasks !== 1)).toEqual([]);
    expect((await pool.query(`select handler, error from kith.job where state = 'parked'`)).rows).toEqual([]);
    crowd.clients.forEach((one) => one.leave());
  }, 180_000);
});

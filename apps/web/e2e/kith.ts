/** A Kith as a customer starts it, in a data folder of its own, and people who are signed in to it. */
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  test as base,
  expect,
  type APIRequestContext,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
} from '@playwright/test';

export { expect };

const root = path.resolve(import.meta.dirname, '../../..');
const START_MS = 90_000;
export const PASSWORD = 'kith-demo';

export class Kith {
  readonly url: string;
  readonly #process: ChildProcess;
  readonly #data: string;

  constructor(url: string, process: ChildProcess, data: string) {
    this.url = url;
    this.#process = process;
    this.#data = data;
  }

  /** Starts database, web and worker on a free port, and waits for the line that begins `ready`. */
  static async start(demo: 'northwind' | 'none'): Promise<Kith> {
    const data = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-e2e-'));
    const child = spawn(
      process.execPath,
      [path.join(root, 'packages/cli/src/main.ts'), 'start', '--port', '0', '--data', data, '--demo', demo],
      {
        cwd: root,
        env: { ...process.env, LOG_LEVEL: 'error', ORIGIN: '', DATABASE_URL: '', HOST: '127.0.0.1' },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let said = '';
    const url = await new Promise<string>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`Kith was not ready in time:\n${said}`)), START_MS);
      const hear = (chunk: Buffer): void => {
        said += chunk.toString();
        const ready = /^ready (\S+)$/m.exec(said)?.[1];
        if (!ready) return;
        clearTimeout(late);
        resolve(ready);
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('exit', (code) => reject(new Error(`Kith ended with ${code}:\n${said}`)));
    });
    return new Kith(url, child, data);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGINT');
    await ended;
    fs.rmSync(this.#data, { recursive: true, force: true });
  }

  /** The web process, which the supervisor starts again when it dies. */
  get web(): number {
    for (const entry of fs.readdirSync('/proc')) {
      if (!/^\d+$/.test(entry)) continue;
      try {
        const parent = /\nPPid:\t(\d+)/.exec(fs.readFileSync(`/proc/${entry}/status`, 'utf8'))?.[1];
        const command = fs.readFileSync(`/proc/${entry}/cmdline`, 'utf8');
        if (Number(parent) === this.#process.pid && /server\.ts/.test(command)) return Number(entry);
      } catch {
        // It ended while we looked.
      }
    }
    throw new Error('the web process is not running');
  }
  /** Kills the web process as a crash would, with everything that it had not stored. */
  crash(): void {
    process.kill(this.web, 'SIGKILL');
  }
  /** Holds the web process still: sockets stay open and nothing is answered. */
  freeze(): number {
    const { web } = this;
    process.kill(web, 'SIGSTOP');
    return web;
  }
  async back(): Promise<void> {
    await expect.poll(async () => (await fetch(`${this.url}/readyz`).catch(() => null))?.status, { timeout: 30_000 }).toBe(200);
  }
}

export interface Person {
  page: Page;
  context: BrowserContext;
  request: APIRequestContext;
  /** Calls the API as this person. */
  api: <T>(method: string, path: string, body?: unknown) => Promise<T>;
}

/** A signed-in person with a browser context of their own. */
export async function signIn(
  browser: Browser,
  kith: Pick<Kith, 'url'>,
  email: string,
  { password = PASSWORD, ...options }: BrowserContextOptions & { password?: string } = {},
): Promise<Person> {
  const context = await browser.newContext({ baseURL: kith.url, ...options });
  const { request } = context;
  const headers = { origin: kith.url };
  const answer = await request.post('/api/v1/session', { headers, data: { email, password } });
  expect(answer.status(), `${email} signs in`).toBe(200);
  const page = await context.newPage();
  return {
    page,
    context,
    request,
    api: async <T>(method: string, to: string, body?: unknown) => {
      const response = await request.fetch(`/api/v1${to}`, { method, headers, ...(body === undefined ? {} : { data: body }) });
      if (!response.ok()) throw new Error(`${method} ${to}: ${response.status()} ${await response.text()}`);
      return (response.status() === 204 ? undefined : await response.json()) as T;
    },
  };
}

interface Fixtures {
  /** Signs in one of the demo's staff by first name. */
  as: (name: string, options?: BrowserContextOptions) => Promise<Person>;
}
interface WorkerFixtures {
  kith: Kith;
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  kith: [
    // eslint-disable-next-line no-empty-pattern -- Playwright reads the fixtures' names from the pattern
    async ({}, use) => {
      const kith = await Kith.start('northwind');
      await use(kith);
      await kith.stop();
    },
    { scope: 'worker', timeout: START_MS + 30_000 },
  ],
  as: async ({ browser, kith }, use) => {
    const people: Person[] = [];
    await use(async (name, options) => {
      const person = await signIn(browser, kith, `${name}@northwind.example`, options);
      people.push(person);
      return person;
    });
    for (const { context } of people) await context.close();
  },
});

export interface Rec {
  id: string;
  version: number;
  title: string;
  fields: Record<string, unknown>;
}

/** A record by the value of one of its fields. */
export async function find(person: Person, object: string, field: string, value: string): Promise<Rec> {
  const filter = encodeURIComponent(JSON.stringify({ field, op: 'eq', value }));
  const { data } = await person.api<{ data: Rec[] }>('GET', `/records/${object}?filter=${filter}&limit=1`);
  if (!data[0]) throw new Error(`there is no ${object} with ${field} = ${value}`);
  return data[0];
}

/** Opens a page and waits until it answers keys and clicks. */
export async function go(page: Page, to: string): Promise<void> {
  await page.goto(to);
  await page.locator('html[data-alive]').waitFor();
}

/** Opens a record's page and waits until it is live. */
export async function openRecord(person: Person, object: string, id: string): Promise<void> {
  await go(person.page, `/o/${object}/${id}`);
  await expect(saving(person)).toHaveText('Saved');
}
export const saving = (person: Person) => person.page.getByRole('status', { name: 'State of saving' });

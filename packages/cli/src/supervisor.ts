/**
 * Keeps the processes of one Kith alive: the embedded Postgres, and one child
 * per role. The dead are started again; a configuration error ends everything;
 * a signal drains everything. Children end by themselves when this process is
 * killed, since their channel to it breaks; Postgres is adopted by the next start.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Env } from '@kith/core/env';
import { startEmbedded, type EmbeddedPostgres } from '@kith/core/postgres/embedded';
import { CommandError } from './command.ts';

export type RoleName = 'web' | 'worker';

export interface SuperviseOptions {
  env: Env;
  roles: readonly RoleName[];
  /** Development: children reload when sources change. */
  watch: boolean;
  note: (line: string) => void;
  /** Done once, when the database is up and before any role starts. */
  prepare: (databaseUrl: string) => Promise<void>;
  /** Another program than the role's own; tests put theirs here. */
  mains?: Partial<Readonly<Record<RoleName, string>>>;
  /** Called once, when every role is ready; with the web's URL if there is one. */
  ready: (url: string | undefined) => void;
}

/** Exit code of a child that cannot start as it is configured (EX_CONFIG); it has said why. */
const EXIT_CONFIG = 78;
/** How long a child may take to finish what it is doing. */
const DRAIN_MS = 15_000;
const BACKOFF_MS = { first: 100, most: 30_000 };
/** After this long a child counts as healthy again. */
const HEALTHY_MS = 60_000;
/** A child that ends so often before it was ever ready will not get better. */
const STILLBORN = 5;

const root = path.resolve(import.meta.dirname, '../../..');

/** Runs until a signal, or until something cannot be helped. Answers the exit code. */
export async function supervise(options: SuperviseOptions): Promise<number> {
  const end = new End();
  try {
    return await new Supervisor(options, end).run();
  } finally {
    end.dispose();
  }
}

/** The wish to stop: from a signal, from a broken channel to the parent, or from a failure. */
class End {
  code: number | undefined;
  error: Error | undefined;
  readonly wished: Promise<void>;
  readonly #resolve: () => void;
  readonly #stop = (): void => this.now(0);

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.wished = promise;
    this.#resolve = resolve;
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, this.#stop);
    process.on('disconnect', this.#stop);
  }

  get isWished(): boolean {
    return this.code !== undefined;
  }

  now(code: number, error?: Error): void {
    if (this.code !== undefined) return;
    this.code = code;
    this.error = error;
    this.#resolve();
  }

  dispose(): void {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, this.#stop);
    process.off('disconnect', this.#stop);
  }
}

class Supervisor {
  readonly #options: SuperviseOptions;
  readonly #end: End;
  readonly #children = new Map<RoleName, Child>();
  #postgres: EmbeddedPostgres | undefined;
  #announced = false;

  constructor(options: SuperviseOptions, end: End) {
    this.#options = options;
    this.#end = end;
  }

  async run(): Promise<number> {
    const { env, roles } = this.#options;
    try {
      const url = env.databaseUrl ?? (await this.#startPostgres());
      if (!this.#end.isWished) {
        // A wish to stop does not wait for the demo to load; the next start does it again.
        await Promise.race([this.#options.prepare(url), this.#end.wished]);
      }
      if (!this.#end.isWished) {
        for (const role of roles) {
          const child = new Child(role, url, this.#options, this.#end, {
            ready: () => this.#announce(),
            changed: (what) => this.#renew(what),
          });
          this.#children.set(role, child);
          child.start();
        }
      }
      await this.#end.wished;
    } finally {
      await this.#stopAll();
    }
    if (this.#end.error) throw this.#end.error;
    return this.#end.code ?? 0;
  }

  #announce(): void {
    if (this.#announced || ![...this.#children.values()].every((child) => child.isReady)) return;
    if (this.#children.size < this.#options.roles.length) return;
    this.#announced = true;
    this.#options.ready(this.#children.get('web')?.url);
  }

  /** Development: the web has taken over new plugins, which the worker has yet to load; or both run old code. */
  #renew(what: Changed): void {
    for (const [role, child] of this.#children) if (what === 'outdated' || role !== 'web') child.renew();
  }

  async #startPostgres(): Promise<string> {
    const { env, note } = this.#options;
    const postgres = await startEmbedded({ dataDir: env.dataDir, log: note });
    this.#postgres = postgres;
    void postgres.exited.then(() => this.#postgresDied(postgres));
    return postgres.url;
  }

  /** Postgres was killed, or crashed: it recovers by itself once it is started again. */
  async #postgresDied(dead: EmbeddedPostgres): Promise<void> {
    if (this.#end.isWished || this.#postgres !== dead) return;
    this.#options.note('The database ended unexpectedly; starting it again …');
    try {
      const url = await this.#startPostgres();
      // Stopped meanwhile: nobody else would end this one.
      if (this.#end.isWished) return await this.#postgres?.stop();
      if (url !== dead.url) for (const child of this.#children.values()) child.moveTo(url);
    } catch (error) {
      this.#end.now(1, error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #stopAll(): Promise<void> {
    // Whoever came here by an error has not wished it yet; children must not be started again.
    this.#end.now(1);
    await Promise.all([...this.#children.values()].map((child) => child.stop()));
    await this.#postgres?.stop();
  }
}

/** What the web says in development: it has loaded plugins anew (`renewed`), or its own code changed (`outdated`). */
type Changed = 'renewed' | 'outdated';

/** One role's process, over all its lives. */
class Child {
  isReady = false;
  url: string | undefined;
  readonly #role: RoleName;
  readonly #options: SuperviseOptions;
  readonly #end: End;
  readonly #tell: { ready: () => void; changed: (what: Changed) => void };
  #databaseUrl: string;
  #process: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #everReady = false;
  #failures = 0;
  /** Asked to end so that it begins again with other code: nothing has failed. */
  #renewing = false;
  #waiting: NodeJS.Timeout | undefined;

  constructor(
    role: RoleName,
    databaseUrl: string,
    options: SuperviseOptions,
    end: End,
    tell: { ready: () => void; changed: (what: Changed) => void },
  ) {
    this.#role = role;
    this.#databaseUrl = databaseUrl;
    this.#options = options;
    this.#end = end;
    this.#tell = tell;
  }

  start(): void {
    const { command, args, cwd } = this.#command();
    const began = Date.now();
    const child = spawn(command, args, {
      cwd,
      env: this.#environment(),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Ctrl-C in the terminal reaches the whole group; a child in its own is stopped by this process alone, in order.
      detached: process.platform !== 'win32',
    });
    this.#process = child;
    child.on('message', (message) => {
      if (isReadyMessage(message)) this.#markReady(message.url);
      if (this.#options.watch && isChanged(message)) this.#tell.changed(message.type);
    });
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#end.now(1, error);
        resolve();
      });
      child.once('exit', (code, signal) => {
        this.isReady = false;
        resolve();
        this.#died(code, signal, Date.now() - began);
      });
    });
    if (this.#role === 'web' && this.#options.watch) void this.#awaitDevelopmentServer(child);
  }

  /** Starts again with what the files say now. */
  renew(): void {
    this.#renewing = true;
    this.#failures = 0;
    if (this.#waiting) {
      clearTimeout(this.#waiting);
      this.#waiting = undefined;
      this.start();
    } else this.#process?.kill('SIGTERM');
  }

  /** Starts again on another address of the database. */
  moveTo(databaseUrl: string): void {
    this.#databaseUrl = databaseUrl;
    this.#process?.kill('SIGTERM');
  }

  async stop(): Promise<void> {
    clearTimeout(this.#waiting);
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), DRAIN_MS + this.#options.env.drainSeconds * 1_000);
    await this.#exited;
    clearTimeout(late);
  }

  #markReady(url: string | undefined): void {
    this.isReady = true;
    this.#everReady = true;
    this.url = url ?? this.url;
    this.#tell.ready();
  }

  #died(code: number | null, signal: NodeJS.Signals | null, livedMs: number): void {
    if (this.#end.isWished) return;
    if (this.#renewing) {
      this.#renewing = false;
      return this.start();
    }
    // In development it may be mended: it waits for the next change.
    if (code === EXIT_CONFIG && !(this.#options.watch && this.#everReady)) return this.#end.now(1);
    this.#failures = livedMs > HEALTHY_MS ? 1 : this.#failures + 1;
    const how = signal ?? `exit code ${code}`;
    if (!this.#everReady && this.#failures >= STILLBORN) {
      return this.#end.now(
        1,
        new CommandError(
          'child_failed',
          `The ${this.#role} process ended ${STILLBORN} times before it was ready (${how}); what it said stands above.`,
        ),
      );
    }
    const delay = Math.min(BACKOFF_MS.first * 2 ** (this.#failures - 1), BACKOFF_MS.most);
    this.#options.note(`The ${this.#role} process ended (${how}); starting it again …`);
    this.#waiting = setTimeout(() => {
      this.#waiting = undefined;
      if (!this.#end.isWished) this.start();
    }, delay);
  }

  #command(): { command: string; args: string[]; cwd: string } {
    const cwd = path.join(root, 'apps', this.#role);
    const other = this.#options.mains?.[this.#role];
    if (other !== undefined) return { command: process.execPath, args: [other], cwd };
    if (!this.#options.watch || this.#role === 'worker') {
      const main = this.#role === 'web' ? 'server.ts' : 'main.ts';
      return { command: process.execPath, args: ['--enable-source-maps', main], cwd };
    }
    const { env } = this.#options;
    const vite = path.join(path.dirname(createRequire(path.join(cwd, 'package.json')).resolve('vite/package.json')), 'bin/vite.js');
    return {
      command: process.execPath,
      args: [vite, 'dev', '--host', env.host, '--port', String(env.port), '--strictPort', '--logLevel', 'warn', '--clearScreen', 'false'],
      cwd,
    };
  }

  #environment(): NodeJS.ProcessEnv {
    const { env, watch } = this.#options;
    // A web that chose its port keeps it over its lives: browsers come back to it.
    const port = env.port === 0 && this.url !== undefined ? new URL(this.url).port : String(env.port);
    return {
      ...process.env,
      NODE_ENV: watch ? 'development' : 'production',
      PORT: port,
      HOST: env.host,
      DATABASE_URL: this.#databaseUrl,
      KITH_DATA: env.dataDir,
      KITH_SECRET: env.secret,
      KITH_DEMO: env.demo,
      KITH_ADMIN_EMAIL: '',
      KITH_ADMIN_PASSWORD: '',
      // Each process tells of itself at a port of its own, counted up in the order of the roles.
      KITH_METRICS_PORT: env.metricsPort === undefined ? '' : String(env.metricsPort + this.#options.roles.indexOf(this.#role)),
      KITH_HEALTH_PORT: this.#role === 'web' || env.healthPort === undefined ? '' : String(env.healthPort),
    };
  }

  /** Vite's development server has no word for being ready, so it is asked. */
  async #awaitDevelopmentServer(child: ChildProcess): Promise<void> {
    const { host, port } = this.#options.env;
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
    while (!this.#end.isWished && child.exitCode === null && child.signalCode === null) {
      try {
        const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) });
        if (answer.ok) return this.#markReady(url);
      } catch {
        // Not listening yet.
      }
      await sleep(200);
    }
  }
}

function isReadyMessage(message: unknown): message is { type: 'ready'; url?: string } {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready';
}

function isChanged(message: unknown): message is { type: Changed } {
  return (
    typeof message === 'object' && message !== null && 'type' in message && (message.type === 'renewed' || message.type === 'outdated')
  );
}

/** Whether the web app has been built; the bootstrap does it, a bare `kith start` may not have. */
export function isBuilt(): boolean {
  return fs.existsSync(path.join(root, 'apps/web/build/handler.js'));
}

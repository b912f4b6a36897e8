/**
 * Kith within Vite's development server: the API, the sockets and the runtime
 * that the pages render with, all in this one process.
 *
 * When plugins change, their modules are loaded anew, the database is brought
 * to what they declare, and a new runtime takes over from the old one, in well
 * under a second. What does not load or migrate is said, and the old one goes
 * on serving. Components are hot reload's, as ever.
 */
import type { IncomingMessage } from 'node:http';
import { registerHooks } from 'node:module';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { AnyPlugin } from '@kith/sdk';
import type { Plugin, ViteDevServer } from 'vite';
import type { Guests } from './open.ts';

const root = path.resolve(import.meta.dirname, '../..');
const PLUGINS = path.join(root, 'plugins') + path.sep;
const INSTALLED = path.join(root, 'packages/installed/src') + path.sep;
/** What the runtime itself is made of: these are not loaded anew, so that the processes start again. */
const SERVER = ['sdk', 'doc', 'core', 'collab'].map((name) => path.join(root, 'packages', name, 'src') + path.sep);
/** How long files are quiet before they are taken for written. */
const QUIET_MS = 60;
/** How long requests that the old runtime had begun to answer may take. */
const UNDER_WAY_MS = 5_000;

/** The development server answers `/api/v1`, `/collab` and `/live` besides pages. */
export function kith(): Plugin {
  return {
    name: 'kith',
    apply: 'serve',
    async configureServer(server) {
      // By its address, so that the bundler does not follow: a build needs no server.
      const file = pathToFileURL(path.join(import.meta.dirname, 'open.ts')).href;
      const { openWeb } = (await import(/* @vite-ignore */ file)) as typeof import('./open.ts');
      let web = await openWeb();
      const modules = new Generations(web.guests.plugins);
      const port = (): number => {
        const address = server.httpServer?.address();
        return typeof address === 'object' && address ? address.port : web.runtime.env.port;
      };
      server.httpServer?.on('listening', () => {
        web.runtime.setPort(port());
        web.runtime.setReady(true);
      });
      server.middlewares.use((request, response, next) => {
        if (!web.handle(request, response)) next();
      });
      server.httpServer?.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        // Every other upgrade is hot reload's.
        web.upgrade(request, socket, head);
      });
      server.httpServer?.on('close', () => void web.close());

      const renew = async (): Promise<void> => {
        const began = performance.now();
        try {
          const fresh = await openWeb({ ...(await modules.next()), port: port() });
          const old = web;
          web = fresh;
          // Sockets go with the old one, and come back to the new one.
          await old.leave();
          setTimeout(() => void old.runtime.close(), UNDER_WAY_MS).unref();
          server.ws.send({ type: 'full-reload' });
          process.send?.({ type: 'renewed' });
          say(`Plugins loaded anew in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
        } catch (error) {
          say(`What changed was not taken over, and what ran before goes on: ${reasonOf(error)}`);
        }
      };
      watch(server, modules, renew);
    },
  };
}

/** Calls back when plugins changed, one change at a time. */
function watch(server: ViteDevServer, modules: Generations, renew: () => Promise<void>): void {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  const soon = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      // What changes meanwhile is the next one's.
      if (running) void running.then(soon);
      else running = renew().finally(() => (running = undefined));
    }, QUIET_MS);
  };
  server.watcher.add([PLUGINS, INSTALLED, ...SERVER]);
  for (const event of ['add', 'change', 'unlink'] as const) {
    server.watcher.on(event, (file) => {
      if (/\.(test|test-d|spec)\.ts$/.test(file) || file.includes(`${path.sep}node_modules${path.sep}`)) return;
      if (event === 'change' && /\.ts$/.test(file) && SERVER.some((folder) => file.startsWith(folder)))
        process.send?.({ type: 'outdated' });
      else if (modules.concerns(file)) soon();
    });
  }
}

/**
 * The modules of plugins, which Node would load only once: each generation has addresses of its own. Everything else,
 * above all the sdk and core, is shared by all generations.
 */
class Generations {
  #generation = 0;
  #ids: Set<string>;

  constructor(plugins: readonly AnyPlugin[]) {
    this.#ids = new Set(plugins.map(({ id }) => id));
    registerHooks({
      resolve: (specifier, context, nextResolve) => {
        const resolved = nextResolve(specifier, context);
        // What an older generation loads late belongs to that one.
        const generation = /[?&]generation=(\d+)$/.exec(context.parentURL ?? '')?.[1] ?? String(this.#generation);
        return generation === '0' || !isOfPlugins(resolved.url)
          ? resolved
          : { ...resolved, url: `${resolved.url}?generation=${generation}` };
      },
    });
  }

  /** Whether the runtime is made of this file. Screens are the browser's, and a folder that nobody has listed is nobody's yet. */
  concerns(file: string): boolean {
    if (file.startsWith(INSTALLED)) return !file.endsWith('client.ts');
    if (!file.startsWith(PLUGINS)) return false;
    const [id = '', ...rest] = file.slice(PLUGINS.length).split(path.sep);
    const inside = rest.join('/');
    return this.#ids.has(id) && /^(src|locales)\/.*\.(ts|json)$/.test(inside) && !/^src\/(ui\/|client\.ts$)/.test(inside);
  }

  /** Loads all plugins anew. */
  async next(): Promise<Guests> {
    this.#generation += 1;
    const load = async (name: string): Promise<unknown> =>
      import(/* @vite-ignore */ `${pathToFileURL(path.join(INSTALLED, name)).href}?generation=${this.#generation}`);
    const { plugins } = (await load('plugins.ts')) as typeof import('@kith/installed/plugins');
    const { servers } = (await load('server.ts')) as typeof import('@kith/installed/server');
    this.#ids = new Set(plugins.map(({ id }) => id));
    return { plugins, servers };
  }
}

function isOfPlugins(url: string): boolean {
  if (!url.startsWith('file:') || url.includes('?')) return false;
  const file = fileURLToPath(url);
  return (file.startsWith(PLUGINS) || file.startsWith(INSTALLED)) && !file.includes(`${path.sep}node_modules${path.sep}`);
}

/** Why something did not load, in one line, with the file where Node says it. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const line = error.message.split('\n').find((one) => one.trim() !== '') ?? error.name;
  const where = /file:\/\/(\S+?)(?:\?generation=\d+)?(:\d+)?(?::\d+)?\)?$/m.exec(error.stack ?? '');
  const file = where?.[1]?.startsWith(`${root}${path.sep}plugins`) ? `${path.relative(root, where[1])}${where[2] ?? ''}: ` : '';
  return `${file}${line.trim()}`;
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

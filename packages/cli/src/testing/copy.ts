/** A copy of this tree, with its packages installed: for commands that change the tree. */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../../../..');
const LEFT = new Set([
  'node_modules',
  'build',
  '.svelte-kit',
  '.turbo',
  '.git',
  '.cache',
  'test-results',
  'playwright-report',
  'demo',
  'e2e',
]);

export interface Copy {
  root: string;
  /** Runs the copy's `kith`. */
  kith: (...args: string[]) => { status: number | null; stdout: string; stderr: string };
  /** All files of the tree with what is in them, but for what is installed. */
  state: () => Record<string, string>;
  /** Starts the copy's development server; answers when it is ready. */
  dev: () => Promise<Dev>;
  remove: () => void;
}
export interface Dev {
  url: string;
  said: () => string;
  stop: () => Promise<void>;
}

export function copyTree(): Copy {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'kith-copy-')));
  const copy = path.join(folder, 'kith');
  fs.cpSync(root, copy, { recursive: true, filter: (from) => !LEFT.has(path.basename(from)) && !/\/\.kith/.test(from) });
  const tools = path.join(root, '.cache/toolchain');
  fs.mkdirSync(path.join(copy, '.cache'));
  if (fs.existsSync(tools)) fs.symlinkSync(tools, path.join(copy, '.cache/toolchain'));
  execFileSync('pnpm', ['install', '--frozen-lockfile', '--prefer-offline'], { cwd: copy, env: { ...process.env, CI: '1' } });
  const env = { ...process.env, KITH_DATA: path.join(folder, 'data'), KITH_DEMO: 'none', DATABASE_URL: '', INIT_CWD: folder };
  const main = path.join(copy, 'packages/cli/src/main.ts');
  return {
    root: copy,
    kith: (...args) => spawnSync(process.execPath, [main, ...args], { cwd: copy, env, encoding: 'utf8' }),
    state: () => stateOf(copy),
    dev: async () => {
      const port = await freePort();
      const child = spawn(process.execPath, [main, 'start', '--watch', '--port', String(port)], {
        cwd: copy,
        env: { ...env, KITH_ADMIN_EMAIL: 'ada@example.com', KITH_ADMIN_PASSWORD: 'kith-kith-kith' },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const said = await ready(child);
      const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      return { url: `http://127.0.0.1:${port}`, said, stop: () => (child.kill('SIGINT'), exited) };
    },
    remove: () => fs.rmSync(folder, { recursive: true, force: true }),
  };
}

function stateOf(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  const visit = (inside: string): void => {
    for (const entry of fs.readdirSync(path.join(folder, inside), { withFileTypes: true })) {
      const file = path.posix.join(inside, entry.name);
      if (entry.name === 'node_modules' || entry.name === '.cache' || entry.name === '.turbo') continue;
      if (entry.isDirectory()) visit(file);
      else
        found[file] = createHash('sha256')
          .update(fs.readFileSync(path.join(folder, file)))
          .digest('hex');
    }
  };
  visit('');
  return found;
}

function ready(child: ChildProcess): Promise<() => string> {
  let said = '';
  return new Promise((resolve, reject) => {
    const hear = (data: Buffer): void => {
      said += data.toString();
      if (/^ready /m.test(said)) resolve(() => said);
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.once('exit', () => reject(new Error(said)));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

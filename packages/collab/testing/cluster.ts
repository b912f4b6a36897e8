/**
 * Kith as it is run on several machines: `kith start` by hand, several times,
 * on one Postgres and one Redis, behind a proxy that sends each record's people
 * to the same web as long as it is there.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';

const MAIN = path.join(import.meta.dirname, '../../cli/src/main.ts');

export interface Process {
  role: 'web' | 'worker';
  port: number;
  /** As an operator restarts it: SIGTERM, and the same command again. */
  restart: () => Promise<void>;
  /** Power loss: the process and whoever watches over it, with kill -9. */
  kill: () => void;
  start: () => Promise<void>;
  stop: () => Promise<void>;
  output: () => string;
}

export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A command, run to its end. */
export function kith(args: readonly string[], variables: Record<string, string>): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...variables },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`kith ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** A process of one role, by the start command. */
export async function startProcess(role: Process['role'], variables: Record<string, string>): Promise<Process> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  let output = '';
  const start = async (): Promise<void> => {
    const env = {
      PATH: process.env['PATH'] ?? '',
      ...variables,
      PORT: String(port),
      ...(role === 'worker' ? { KITH_HEALTH_PORT: String(port) } : {}),
    };
    const started = spawn(process.execPath, [MAIN, 'start', '--roles', role], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    await new Promise<void>((resolve, reject) => {
      let said = '';
      const read = (data: Buffer): void => {
        said += data.toString();
        output += data.toString();
        if (/^ready /m.test(said)) resolve();
      };
      started.stdout.on('data', read);
      started.stderr.on('data', read);
      started.once('exit', (code) => reject(new Error(`${role} ended with ${code}: ${said}`)));
    });
  };
  const stop = async (): Promise<void> => {
    const running = child;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const gone = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGTERM');
    await gone;
  };
  await start();
  return {
    role,
    port,
    start,
    stop,
    restart: async () => {
      await stop();
      await start();
    },
    kill: () => {
      const { pid } = child!;
      const watched = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
      for (const one of [pid!, ...watched]) process.kill(one, 'SIGKILL');
    },
    output: () => output,
  };
}

const NGINX = ['nginx', '/usr/sbin/nginx'].find((command) => spawnSync(command, ['-v']).status === 0);
/** Whether nginx is there. Where KITH_NGINX=required, its absence is an error. */
export function hasNginx(): boolean {
  if (NGINX === undefined && process.env['KITH_NGINX'] === 'required') throw new Error('nginx is not installed');
  return NGINX !== undefined;
}

/** The proxy of `docker/`, by its own configuration: only addresses are others. */
export async function startNginx(ports: readonly number[], at: number): Promise<{ port: number; close: () => Promise<void> }> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'kith-nginx-'));
  const configuration = readFileSync(path.join(import.meta.dirname, '../../../docker/nginx.conf'), 'utf8')
    .replace(/^worker_processes auto;/m, `worker_processes 1;\ndaemon off;\npid ${folder}/pid;\nerror_log ${folder}/error.log warn;`)
    .replace(
      /^http \{/m,
      `http {\n${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join('\n')}`,
    )
    .replace(/listen 8080;/, `listen 127.0.0.1:${at};`)
    .replace(/web-(\d):8080/g, (_, number: string) => `127.0.0.1:${ports[Number(number) - 1]}`);
  const file = path.join(folder, 'nginx.conf');
  writeFileSync(file, configuration);
  const checked = spawnSync(NGINX!, ['-t', '-p', folder, '-c', file], { encoding: 'utf8' });
  if (checked.status !== 0) throw new Error(checked.stderr);
  const nginx = spawn(NGINX!, ['-p', folder, '-c', file], { stdio: 'ignore' });
  for (let tries = 0; ; tries++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect(at, '127.0.0.1', () => (socket.destroy(), resolve(true)));
      socket.once('error', () => resolve(false));
    });
    if (open) break;
    if (tries > 100) throw new Error(`nginx does not listen: ${readFileSync(path.join(folder, 'error.log'), 'utf8')}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    port: at,
    close: async () => {
      const gone = new Promise((resolve) => nginx.once('exit', resolve));
      nginx.kill('SIGTERM');
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Sends a record's requests and sockets to one upstream, chosen by its path, and to the next where that one does not answer. @param at Its own port; any that is free unless told. */
export async function startProxy(
  ports: readonly number[],
  at = 0,
): Promise<{ port: number; failed: () => number; close: () => Promise<void> }> {
  const agents = new Map(ports.map((port) => [port, new http.Agent({ keepAlive: true })]));
  let failures = 0;
  const order = (url: string): number[] => {
    const [, record = url] = /^\/collab\/([^/]+\/[^/?]+)/.exec(url) ?? [];
    const first = createHash('sha256').update(record).digest()[0]! % ports.length;
    return ports.map((_, i) => ports[(first + i) % ports.length]!);
  };
  const pass = (request: http.IncomingMessage, response: http.ServerResponse, body: Buffer, [port, ...rest]: number[]): void => {
    if (port === undefined) {
      failures++;
      response.writeHead(502).end();
      return;
    }
    const onward = http.request(
      { host: '127.0.0.1', port, method: request.method, path: request.url, headers: request.headers, agent: agents.get(port)! },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
        answer.once('error', () => response.destroy());
      },
    );
    // Not answered at all: another may do it. Writes carry an Idempotency-Key, so that one that was done already is not done twice.
    onward.once('error', () => (response.headersSent ? response.destroy() : pass(request, response, body, rest)));
    onward.end(body);
  };
  const server = http.createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => pass(request, response, Buffer.concat(parts), order(request.url ?? '/')));
  });
  server.on('upgrade', (request, client, head) => {
    const join = ([port, ...rest]: number[]): void => {
      if (port === undefined) return void client.destroy();
      const upstream = net.connect(port, '127.0.0.1');
      upstream.once('error', () => join(rest));
      upstream.once('connect', () => {
        upstream.removeAllListeners('error');
        for (const [one, other] of [
          [upstream, client],
          [client, upstream],
        ] as const) {
          one.on('error', () => other.destroy());
          one.on('close', () => other.destroy());
        }
        const lines = request.rawHeaders.reduce(
          (all, value, i) => all + (i % 2 ? `: ${value}\r\n` : value),
          `GET ${request.url} HTTP/1.1\r\n`,
        );
        upstream.write(`${lines}\r\n`);
        upstream.write(head);
        upstream.pipe(client);
        client.pipe(upstream);
      });
    };
    join(order(request.url ?? '/'));
  });
  await new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    failed: () => failures,
    close: async () => {
      for (const agent of agents.values()) agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-cli-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

function kith(args: string[], env: Record<string, string> = {}): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(import.meta.dirname, 'main.ts'), ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, KITH_DATA: path.join(folder, 'data'), ...env },
    encoding: 'utf8',
  });
  return { code: status, out: stdout, err: stderr };
}

test.each([
  ['an unknown command', ['frobnicate'], 'There is no command “frobnicate”'],
  ['half a command', ['user'], '“user” needs one of: create'],
  ['an unknown option', ['start', '--prot', '1'], 'Unknown option “--prot”'],
  ['an option without its value', ['start', '--port'], '--port'],
  ['a port that is none', ['start', '--port', 'abc'], '--port is “abc”'],
  ['a port out of range', ['start', '--port', '99999'], '65535'],
  ['an unknown role of a process', ['start', '--roles', 'web,db'], '--roles names “db”'],
  ['an unknown demo', ['start', '--demo', 'contoso'], '--demo is “contoso”'],
  ['an unknown demo to seed', ['seed', 'contoso'], 'There is no demo “contoso”'],
  ['no demo to seed', ['seed'], 'northwind is missing'],
  ['one argument too many', ['migrate', 'now'], '“now” is one argument too many'],
  ['no email', ['user', 'create', '--role', 'admin'], '--email is missing'],
  ['an email that is none', ['user', 'create', '--email', 'x', '--role', 'admin'], '--email is “x”'],
  ['an unknown role', ['user', 'create', '--email', 'a@b.example', '--role', 'boss'], 'admin, manager, member, reader'],
  ['a short password', ['user', 'create', '--email', 'a@b.example', '--role', 'admin', '--password', 'x'], 'at least 8'],
  ['no name of a key', ['key', 'create', '--role', 'admin'], '--name is missing'],
])('%s is refused in one line', (_what, args, says) => {
  const { code, out, err } = kith(args);
  expect(err).toContain(says);
  expect(err.trimEnd().split('\n')).toHaveLength(1);
  expect(out).toBe('');
  expect(code).toBe(2);
  expect(fs.existsSync(path.join(folder, 'data'))).toBe(false);
});

test('with --json a refusal is JSON', () => {
  const { code, err } = kith(['start', '--port', 'abc', '--json']);
  expect(JSON.parse(err)).toEqual({ error: { code: 'usage', message: expect.stringContaining('--port') as string } });
  expect(code).toBe(2);
});

test('a wrong variable of the environment is refused by name', () => {
  const { code, err } = kith(['migrate'], { LOG_LEVEL: 'loud' });
  expect(err).toMatch(/^LOG_LEVEL is “loud”.*\n$/);
  expect(code).toBe(1);
});

test.each([
  [['--help']],
  [[]],
  [['start', '--help']],
  [['user', 'create', '--help']],
  [['key', 'create', '-h']],
  [['migrate', '--help']],
  [['seed', '--help']],
])('%j explains', (args) => {
  const { code, out, err } = kith(args);
  expect(out).toContain('Usage: ');
  expect(err).toBe('');
  expect(code).toBe(0);
});

test('--help --json lists the options', () => {
  expect(JSON.parse(kith(['key', 'create', '--help', '--json']).out)).toMatchObject({ command: 'key create' });
});

test('a port that is taken is said before anything starts', async () => {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const data = path.join(folder, 'taken');
  const { code, err } = kith(['start', '--port', String(port), '--data', data]);
  server.close();
  // Without a built web app the start says that first.
  expect(err).toMatch(/^(Port \d+ on 127\.0\.0\.1 is taken|The web app is not built)/);
  expect(code).toBe(1);
  expect(fs.existsSync(path.join(data, 'postgres'))).toBe(false);
});

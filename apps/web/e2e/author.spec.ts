/** A plugin's author at work: in a copy of this tree with the development server running, and what the people beside see of it. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test as base } from '@playwright/test';
import { copyTree, type Copy, type Dev } from '@kith/cli/testing';
import { expect, go, openRecord, saving, signIn, type Person } from './kith.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const PASSWORD = 'kith-kith-kith';

const test = base.extend<{ ada: Person; ben: Person }, { copy: Copy; dev: Dev }>({
  copy: [
    // eslint-disable-next-line no-empty-pattern -- Playwright reads the fixtures' names from the pattern
    async ({}, use) => {
      const copy = copyTree();
      await use(copy);
      copy.remove();
    },
    { scope: 'worker', timeout: 120_000 },
  ],
  dev: [
    async ({ copy }, use) => {
      const dev = await copy.dev();
      const ben = copy.kith('user', 'create', '--email', 'ben@example.com', '--role', 'member', '--name', 'Ben', '--password', PASSWORD);
      if (ben.status !== 0) throw new Error(ben.stderr);
      await use(dev);
      await dev.stop();
    },
    { scope: 'worker', timeout: 120_000 },
  ],
  ada: async ({ browser, dev }, use) => {
    const ada = await signIn(browser, dev, 'ada@example.com', { password: PASSWORD });
    await use(ada);
    await ada.context.close();
  },
  ben: async ({ browser, dev }, use) => {
    const ben = await signIn(browser, dev, 'ben@example.com', { password: PASSWORD });
    await use(ben);
    await ben.context.close();
  },
});

test.use({ actionTimeout: 20_000 });
test.describe.configure({ mode: 'serial', timeout: 180_000 });

test('a plugin that is just begun has its list and its record, which two people edit at once, and a test that passes', async ({
  copy,
  ada,
  ben,
}) => {
  await go(ada.page, '/o/contacts.company');
  let began = performance.now();
  const since = (): string => `${((performance.now() - began) / 1000).toFixed(1)} s`;
  expect(copy.kith('plugin', 'new', 'warranty').status).toBe(0);
  // Nobody reloads: the page that is open learns of it.
  await expect(ada.page.getByRole('link', { name: 'Warranties' })).toBeVisible({ timeout: 60_000 });
  const shown = since();
  const words = path.join(copy.root, 'plugins/warranty/locales/en.json');
  began = performance.now();
  fs.writeFileSync(words, fs.readFileSync(words, 'utf8').replace('"Warranties"', '"Guarantees"'));
  const rail = ada.page.getByRole('link', { name: 'Guarantees' });
  await expect(rail).toBeVisible({ timeout: 60_000 });
  process.stdout.write(`a new plugin is on an open page after ${shown}, an edit to it after ${since()}\n`);
  await rail.click();
  await expect(ada.page.getByText('No guarantees yet')).toBeVisible();
  const dialog = ada.page.getByRole('dialog');
  // The first time that a page is shown here, Vite may find more to bundle, and loads it once more.
  await expect(async () => {
    await ada.page.getByRole('button', { name: 'New warranty' }).first().click({ timeout: 1_000 });
    await dialog.getByLabel('Name').fill('Two years', { timeout: 1_000 });
  }).toPass({ timeout: 30_000 });
  await dialog.getByRole('button', { name: 'Create' }).click();
  await expect(ada.page.getByRole('row', { name: /Two years/ })).toBeVisible();

  const { data } = await ada.api<{ data: { id: string }[] }>('GET', '/records/warranty.warranty');
  for (const person of [ada, ben]) await openRecord(person, 'warranty.warranty', data[0]!.id);
  const notes = [ada, ben].map(({ page }) => page.getByLabel('Notes'));
  await notes[0]!.pressSequentially('Covers the motor. ');
  await expect(notes[1]!).toHaveValue('Covers the motor. ');
  await notes[1]!.click();
  await ben.page.keyboard.press('Control+Home');
  await ben.page.keyboard.type('S');
  await expect(notes[0]!).toHaveValue(/^SCovers/);
  // He at the beginning and she at the end, at the same time.
  await notes[0]!.press('Control+End');
  await Promise.all([ada.page.keyboard.type('Not the belt.'), ben.page.keyboard.type('ince May. ')]);
  for (const person of [ada, ben]) await expect(saving(person)).toHaveText('Saved');
  for (const one of notes) await expect(one).toHaveValue('Since May. Covers the motor. Not the belt.');

  const tested = spawnSync(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', '-c', 'packages/config/vitest.config.ts', '--project', 'plugins:warranty'],
    { cwd: copy.root, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } },
  );
  expect(tested.stdout + tested.stderr).toMatch(/Tests {2}[1-9]\d* passed \(/);
  expect(tested.status).toBe(0);
});

test('a plugin from outside comes, is used, switched off and on, taken out, and what it left is deleted', async ({ copy, ada, ben }) => {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'kith-fleet-')));
  const fleet = path.join(folder, 'fleet');
  try {
    // As its author does it, after the handbook.
    expect(copy.kith('plugin', 'new', 'fleet', '--object', 'car', '--outside', fleet).status).toBe(0);
    const compiler = path.join(root, 'node_modules/typescript/lib/tsc.js');
    expect(spawnSync(process.execPath, [compiler, '-p', '.'], { cwd: fleet, encoding: 'utf8' }).stdout).toBe('');
    expect(spawnSync(process.execPath, ['copy.mjs'], { cwd: fleet }).status).toBe(0);

    await go(ada.page, '/settings/plugins');
    expect(copy.kith('plugin', 'add', fleet, '--no-build').status).toBe(0);
    const listed = ada.page.getByRole('listitem', { name: 'Fleet', exact: true });
    const cars = ada.page.getByRole('link', { name: 'Cars' });
    await expect(cars).toBeVisible({ timeout: 60_000 });
    const car = await ada.api<{ id: string }>('POST', '/records/fleet.car', { name: 'Van' });
    await openRecord(ben, 'fleet.car', car.id);
    await ben.page.getByLabel('Notes').fill('New tyres');
    await expect(saving(ben)).toHaveText('Saved');
    await ben.page.getByRole('button', { name: 'Close' }).click();
    await expect
      .poll(async () => (await ada.api<{ fields: { status: string } }>('GET', `/records/fleet.car/${car.id}`)).fields.status)
      .toBe('done');

    await go(ada.page, '/settings/plugins');
    await listed.getByRole('button', { name: 'Switch off Fleet' }).click();
    await expect(listed).toContainText('Off');
    await expect(cars).toBeHidden();
    await expect(ben.page.getByText('This is switched off just now')).toBeVisible();
    await listed.getByRole('button', { name: 'Switch on Fleet' }).click();
    await expect(cars).toBeVisible();
    await expect(ben.page.getByLabel('Notes')).toHaveValue('New tyres');

    expect(copy.kith('plugin', 'remove', 'fleet', '--no-build').status).toBe(0);
    const left = ada.page.getByRole('button', { name: 'Delete what fleet left' });
    await expect(async () => {
      await go(ada.page, '/settings/plugins');
      await expect(left).toBeVisible({ timeout: 1_000 });
    }).toPass({ timeout: 60_000 });
    await expect(listed).toHaveCount(0);
    await left.click();
    const dialog = ada.page.getByRole('dialog');
    await expect(dialog).toContainText('fleet.car');
    await expect(dialog).toContainText('1 row');
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await left.click();
    await dialog.getByRole('button', { name: 'Delete for good' }).click();
    const done = ada.page.getByText(/What fleet left is deleted\. It was written to /);
    await expect(done).toBeVisible();
    const file = /written to (\S+\.gz)/.exec((await done.textContent()) ?? '')![1]!;
    expect(fs.statSync(file).size).toBeGreaterThan(100);
    await expect(left).toHaveCount(0);
    expect((JSON.parse(copy.kith('plugin', 'list', '--json').stdout) as { orphans: unknown[] }).orphans).toEqual([]);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});

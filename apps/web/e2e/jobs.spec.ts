/** Background work on screen: what keeps failing is seen, done again and dropped. */
import fs from 'node:fs';
import { openPool } from '@kith/core/database';
import { expect, go, test, type Kith } from './kith.ts';

/** The database of a Kith that runs, as its web process knows it. */
function databaseOf(kith: Kith): string {
  const variables = fs.readFileSync(`/proc/${kith.web}/environ`, 'utf8').split('\0');
  return variables.find((one) => one.startsWith('DATABASE_URL='))!.slice('DATABASE_URL='.length);
}

test('an administrator sees parked jobs, does them again and drops them', async ({ as, kith }) => {
  const admin = await as('admin');
  const { page } = admin;
  await go(page, '/settings/jobs');
  await expect(page.getByText('Nothing is parked')).toBeVisible();

  const pool = openPool(databaseOf(kith), 1, 'kith e2e');
  const park = (handler: string, n: number): Promise<unknown> =>
    pool.query(
      `insert into kith.job (id, handler, lane, data, due, state, error, attempts, failed_at)
       select uuidv7(), $1, 1, json_build_object('order', 10248 + i), now(), 'parked', 'The other side said no, number ' || i, 8, now() from generate_series(1, $2::int) i`,
      [handler, n],
    );
  await park('gone.send', 3);
  await park('gone.count', 1);
  // Without a reload.
  await expect(page.getByText('The other side said no, number 3')).toBeVisible();
  await expect(page.getByRole('row', { name: /Everyday/ })).toContainText('4');
  const one = page.getByRole('listitem', { name: 'gone.count' });
  await one.getByText('What it was to do').click();
  await expect(one.getByText('"order": 10249')).toBeVisible();
  await expect(one).toContainText('Tried 8 times');

  // Done again, it fails again, and says why: nobody knows this job any more.
  await one.getByRole('button', { name: 'Do again: gone.count' }).click();
  await expect(page.getByText('It will be done now')).toBeVisible();
  await expect(page.getByRole('listitem', { name: 'gone.count' })).toContainText('Nothing does this any more');

  await page.getByRole('button', { name: 'Drop all: gone.send' }).click();
  await expect(page.getByRole('dialog')).toContainText('cannot be brought back');
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toBeHidden();
  await page.getByRole('button', { name: 'Drop all: gone.send' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Drop', exact: true }).click();
  await expect(page.getByText('3 jobs dropped')).toBeVisible();
  await page.getByRole('button', { name: 'Drop: gone.count' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Drop', exact: true }).press('Enter');
  await expect(page.getByText('Nothing is parked')).toBeVisible();
  expect((await pool.query('select from kith.job where handler like $1', ['gone.%'])).rowCount).toBe(0);
  await pool.end();
});

test('nobody but administrators', async ({ as }) => {
  const { page } = await as('andrew');
  await go(page, '/settings/jobs');
  await expect(page.getByText('You may not see this')).toBeVisible();
  await expect(page.getByRole('link', { name: 'Background work' })).toHaveCount(0);
});

/** The pictures of docs/: taken with `KITH_PICTURES=1 npx playwright test pictures`, from the demo. */
import path from 'node:path';
import { devices, type Page } from '@playwright/test';
import { expect, find, go, Kith, openRecord, test, type Person } from './kith.ts';

test.skip(process.env.KITH_PICTURES !== '1', 'taken on demand');
test.setTimeout(90_000);

const folder = path.resolve(import.meta.dirname, '../../../docs/pictures');
const WIDE = { viewport: { width: 1440, height: 900 } };
const { defaultBrowserType: _engine, ...phone } = devices['Pixel 7'];
const NARROW = { ...phone, viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };

const take = async (page: Page, name: string): Promise<void> => {
  await page.waitForTimeout(400);
  await page.screenshot({ path: path.join(folder, `${name}.png`) });
};

for (const [size, options] of [
  ['1440', WIDE],
  ['390', NARROW],
] as const) {
  for (const colorScheme of ['light', 'dark'] as const) {
    const tag = `${size}-${colorScheme}`;
    test(`list, board, record, palette and work at ${tag}`, async ({ as }) => {
      const nancy = await as('nancy', { ...options, colorScheme });
      const andrew = await as('andrew', WIDE);
      const { page } = nancy;

      await go(page, '/');
      await take(page, `work-${tag}`);

      await go(andrew.page, '/o/contacts.company?view=customers');
      await go(page, '/o/contacts.company?view=customers');
      await andrew.page.getByRole('row').filter({ hasText: 'Berglunds' }).getByRole('gridcell').nth(2).click();
      await andrew.page.keyboard.press('Enter');
      if (size === '1440') await expect(page.locator('td[data-by=Andrew]')).toBeVisible();
      await take(page, `list-${tag}`);
      await andrew.page.keyboard.press('Escape');

      await go(page, '/o/sales.deal');
      await take(page, `board-${tag}`);

      await together(nancy, andrew);
      await take(page, `record-${tag}`);

      await page.keyboard.press('Control+k');
      await page.keyboard.type('ernst');
      await page
        .getByRole('option', { name: /^Ernst Handel/ })
        .first()
        .waitFor();
      await take(page, `palette-${tag}`);
    });

    test(`first run at ${tag}`, async ({ browser }) => {
      const kith = await Kith.start('none');
      try {
        const context = await browser.newContext({ baseURL: kith.url, ...options, colorScheme });
        const page = await context.newPage();
        await go(page, '/');
        await page.getByLabel('Name of the organisation').fill('Northwind Traders');
        await take(page, `first-run-${tag}`);
        await context.close();
      } finally {
        await kith.stop();
      }
    });
  }
}

/** Andrew types in the record that Nancy has open. */
async function together(nancy: Person, andrew: Person): Promise<void> {
  const company = await find(nancy, 'contacts.company', 'externalId', 'ERNSH');
  await openRecord(nancy, 'contacts.company', company.id);
  await openRecord(andrew, 'contacts.company', company.id);
  await andrew.page.getByLabel('City', { exact: true }).click();
  await andrew.page.keyboard.press('End');
  await andrew.page.keyboard.type(' ');
  await andrew.page.keyboard.press('Backspace');
  await expect(nancy.page.locator('[data-field=city]')).toContainText('Andrew');
}

/** The pictures of docs/: taken with `KITH_PICTURES=1 npx playwright test pictures`, from the demo. */
import path from 'node:path';
import { devices, type Page } from '@playwright/test';
import { expect, find, go, Kith, openRecord, saving, signIn, test, type Person } from './kith.ts';

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

    test(`partners at ${tag}`, async ({ as, browser, kith }) => {
      const nancy = await as('nancy', { ...options, colorScheme });
      const exotic = await signIn(browser, kith, 'exotic@partners.example', { ...options, colorScheme });
      const speedy = await signIn(browser, kith, 'speedy@partners.example', { ...options, colorScheme });
      const order = await find(exotic, 'suppliers.purchaseOrder', 'number', '11070-1');

      await go(exotic.page, '/portal');
      await take(exotic.page, `portal-${tag}`);

      // The supplier answers one line late while Nancy writes in the note.
      await openRecord(nancy, 'suppliers.purchaseOrder', order.id);
      await go(exotic.page, `/portal/o/suppliers.purchaseOrder/${order.id}`);
      await expect(saving(exotic)).toHaveText('Saved');
      const line = exotic.page.locator('[data-line=Chai]');
      const change = line.getByRole('button', { name: 'Change the answer for Chai' });
      if (await change.isVisible()) await change.click();
      await line.getByLabel('You confirm, Chai').fill('30');
      const late = new Date(Date.parse(`${order.fields.requiredDate as string}T00:00:00Z`) + 2 * 86_400_000);
      await line.getByLabel('Ready on, Chai').fill(late.toISOString().slice(0, 10));
      if (size === '390') await nancy.page.getByRole('tab', { name: 'Details' }).click();
      const note = nancy.page.getByLabel('Note with the supplier');
      await note.fill('Ten boxes of Chai follow with the Thursday truck.\nCould the pallets go to Graz instead?');
      await note.press('End');
      await exotic.page.getByText('Note on this order').hover();
      await exotic.page.locator('.note [data-by]').waitFor();
      await take(exotic.page, `portal-note-${tag}`);
      await line.scrollIntoViewIfNeeded();
      await exotic.page.getByRole('heading', { level: 1 }).hover();
      await take(exotic.page, `portal-order-${tag}`);
      await line.getByRole('button', { name: /^Chai: propose 30 for/ }).click();
      await expect(line.getByText(/^Proposed: 30 for/)).toBeVisible();
      if (size === '390') await nancy.page.getByRole('tab', { name: 'Purchase order lines' }).first().click();
      await expect(nancy.page.getByRole('button', { name: 'Accept the proposal for Chai' })).toBeVisible();
      await take(nancy.page, `purchase-order-${tag}`);

      await go(nancy.page, `/o/sales.order/${(await find(nancy, 'sales.order', 'number', '11070')).id}`);
      if (size === '390') await nancy.page.getByRole('tab', { name: 'Related' }).click();
      await take(nancy.page, `order-${tag}`);

      const shipment = await find(speedy, 'logistics.shipment', 'orderNumber', '11070');
      await go(speedy.page, `/portal/o/logistics.shipment/${shipment.id}`);
      await take(speedy.page, `portal-shipment-${tag}`);
      await exotic.context.close();
      await speedy.context.close();
    });

    test(`what works by itself at ${tag}`, async ({ as }) => {
      const { page } = await as('andrew', { ...options, colorScheme });
      await go(page, '/page/insights/dashboard');
      await page.getByRole('heading', { name: /Sales/ }).first().waitFor();
      await take(page, `dashboard-${tag}`);

      const admin = await as('admin', { ...options, colorScheme });
      const late = (await admin.api<{ data: { id: string }[] }>('GET', '/records/automation.workflow?limit=1')).data[0]!;
      await go(admin.page, `/o/automation.workflow/${late.id}`);
      await take(admin.page, `workflow-${tag}`);

      await go(admin.page, '/settings/plugins');
      await admin.page.getByRole('heading', { name: 'Collaborative' }).last().waitFor();
      await take(admin.page, `plugins-${tag}`);
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

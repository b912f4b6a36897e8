/** What customers are worth: the dashboard, whose figures lead to their records, lists by value, and the panel of a company. */
import type { Money } from '@kith/sdk';
import { devices, type Page } from '@playwright/test';
import { expect, find, go, Kith, openRecord, PASSWORD, test, type Person, type Rec } from './kith.ts';

const DASHBOARD = '/page/insights/dashboard';
const card = (page: Page, name: string | RegExp) => page.getByRole('region', { name });
const pictures = process.env.KITH_INSIGHTS_PICTURES;
const take = async (page: Page, name: string): Promise<void> => {
  if (!pictures) return;
  await page.waitForTimeout(300);
  await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: false });
};

test('the dashboard stands in the rail; a bar leads to its records, of which there are as many', async ({ as }) => {
  const { page } = await as('nancy');
  await go(page, '/');
  await page.getByRole('navigation').getByRole('link', { name: 'Dashboard' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Dashboard' })).toBeVisible();
  await expect(
    page.getByRole('link', { name: '$1,265,793.04' }).or(page.getByRole('link', { name: '$1,265,793', exact: true })),
  ).toBeVisible();
  await expect(page.getByRole('link', { name: '830', exact: true })).toBeVisible();
  await take(page, 'dashboard-1440-light');

  const beverages = card(page, /^Sales by category/).getByRole('link', { name: /^Beverages/ });
  await expect(beverages).toHaveText(/\$267,868.*404 order lines/);
  await beverages.focus();
  await page.keyboard.press('Enter');
  await expect(page.getByText('404 order lines')).toBeVisible();
  await expect(page.getByRole('button', { name: /Product › Category is Beverages/ })).toBeVisible();
  await expect(page.getByRole('gridcell', { name: 'Côte de Blaye' }).first()).toBeVisible();
  await take(page, 'beverages');

  await page.goBack();
  const columns = page.getByRole('list', { name: 'Sales by month' }).getByRole('link');
  const last = columns.last();
  const said = await last.getAttribute('aria-label');
  const [, count] = /, (\d+) order lines$/.exec(said ?? '') ?? [];
  await last.click();
  await expect(page.getByText(`${count} order lines`)).toBeVisible();
});

test('every chart can be read as a table, by keyboard; the curve leads to the customers up to a point', async ({ as }) => {
  const { page } = await as('nancy');
  await go(page, DASHBOARD);
  const employees = card(page, /^Sales by the order’s owner/);
  await employees.getByRole('button', { name: /show as a table/ }).focus();
  await page.keyboard.press('Enter');
  const margaret = employees.getByRole('row').filter({ hasText: 'Margaret Peacock' });
  await expect(margaret).toContainText('$232,890.846');
  await expect(employees.getByRole('columnheader', { name: 'Order lines' })).toBeVisible();

  await card(page, /^Classes/)
    .getByRole('button', { name: /show as a table/ })
    .click();
  await expect(card(page, /^Classes/).getByRole('row')).toHaveCount(4);

  const others = card(page, /^Sales by the customer’s country/).getByRole('link', { name: /^11 others with \$203,183/ });
  await others.click();
  await expect(page.getByRole('button', { name: /^Order › Company › Country/ })).toBeVisible();
  await expect(page.getByText('$203,182.584')).toBeVisible();
  await page.goBack();

  const point = page.getByRole('list', { name: 'Revenue by customers, the largest first' }).getByRole('link').nth(2);
  const [, customers] = /^The largest (\d+) customers/.exec((await point.getAttribute('aria-label')) ?? '') ?? [];
  await point.focus();
  await page.keyboard.press('Enter');
  await expect(page.getByText(`${customers} companies`)).toBeVisible();
  await expect(page.getByRole('gridcell', { name: 'QUICK-Stop', exact: true })).toBeVisible();
});

test('companies are listed by value, with their class, and a company says why it has it', async ({ as }) => {
  const nancy = await as('nancy');
  const { page } = nancy;
  await go(page, '/o/contacts.company');
  await page.getByRole('tab', { name: 'By value' }).click();
  await expect(page.getByRole('columnheader', { name: 'Revenue' })).toHaveAttribute('aria-sort', 'descending');
  const rows = page.getByRole('grid').getByRole('row');
  await expect(rows.nth(1)).toContainText('QUICK-Stop');
  await expect(rows.nth(1)).toContainText('$110,277.305');
  await expect(rows.nth(1)).toContainText('A');
  await expect(rows.nth(2)).toContainText('Ernst Handel');
  await take(page, 'by-value');

  const { id } = await find(nancy, 'contacts.company', 'name', 'QUICK-Stop');
  await openRecord(nancy, 'contacts.company', id);
  await expect(page.getByText('8.71% of all revenue today')).toBeVisible();
  await expect(page.getByText('8.71% of all revenue; with all larger customers 8.71%').first()).toBeVisible();
  await take(page, 'panel');
});

test('what is sold counts at once: the order of a moment ago is in the company’s revenue', async ({ as }) => {
  const nancy = await as('nancy');
  const paris = await find(nancy, 'contacts.company', 'externalId', 'PARIS');
  const product = await find(nancy, 'sales.product', 'name', 'Chai');
  const order = await nancy.api<Rec>('POST', '/records/sales.order', { company: paris.id });
  await nancy.api('POST', '/records/sales.orderLine', {
    order: order.id,
    product: product.id,
    quantity: 3,
    unitPrice: { amount: '0.0101', currency: 'USD' },
  });
  await expect
    .poll(async () => (await nancy.api<Rec>('GET', `/records/contacts.company/${paris.id}`)).fields.insights__revenue as Money | null)
    .toEqual({ amount: '0.0303', currency: 'USD' });
  await nancy.api('DELETE', `/records/sales.order/${order.id}`);
  await expect
    .poll(async () => (await nancy.api<Rec>('GET', `/records/contacts.company/${paris.id}`)).fields.insights__revenue as Money | null)
    .toBeNull();
});

test('in German, on a phone, in the dark', async ({ as }) => {
  const { defaultBrowserType: _engine, ...phone } = devices['Pixel 7'];
  const nancy: Person = await as('nancy', { ...phone, viewport: { width: 390, height: 844 }, colorScheme: 'dark' });
  await nancy.api('PATCH', '/profile', { language: 'de' });
  try {
    const { page } = nancy;
    await go(page, DASHBOARD);
    await expect(card(page, /^Umsatz nach Kategorie/)).toBeVisible();
    await take(page, 'phone-1');
    await expect(card(page, /^Umsatz nach Zuständigen/).getByRole('link', { name: /Margaret Peacock/ })).toBeVisible();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide).toBeLessThanOrEqual(390);
    for (const [i, name] of [/^Umsatz nach Kategorie/, /^Klassen/, /^Umsatz nach Kunden/].entries()) {
      await card(page, name).scrollIntoViewIfNeeded();
      await take(page, `phone-${i + 2}`);
    }
    await page.getByLabel('Aufträge aus').selectOption('Dieses Jahr');
    await expect(card(page, /^Umsatz nach Kategorie.*Dieses Jahr/)).toBeVisible();
    await card(page, /^Umsatz nach Kategorie/)
      .getByRole('link')
      .first()
      .click();
    await expect(page.getByText(/Auftragspositionen/).first()).toBeVisible();
  } finally {
    await nancy.api('PATCH', '/profile', { language: 'en' });
  }
});

test('without any sale it says what will stand there', async ({ browser }) => {
  test.setTimeout(120_000);
  const kith = await Kith.start('none');
  try {
    const context = await browser.newContext({ baseURL: kith.url });
    const { request } = context;
    const data = { organisation: 'New', language: 'en', name: 'Ada', email: 'ada@example.com', password: PASSWORD };
    expect((await request.post('/api/v1/setup', { headers: { origin: kith.url }, data })).status()).toBe(201);
    const page = await context.newPage();
    await go(page, DASHBOARD);
    await expect(page.getByText('No sales yet')).toBeVisible();
    await take(page, 'empty');
    await context.close();
  } finally {
    await kith.stop();
  }
});

/** Lists and boards: edited in place, kept live, found again. */
import { expect, find, go, openRecord, test, type Person, type Rec } from './kith.ts';

const COMPANIES = '/o/contacts.company?view=customers';
const row = (person: Person, name: string) => person.page.getByRole('row').filter({ hasText: name });
/** A cell by its column's place; the first two are the checkbox and the name. */
const cell = (person: Person, name: string, column: number) => row(person, name).getByRole('gridcell').nth(column);
const CITY = 2;

test('what somebody changes in a cell is seen by others, who see where they are', async ({ as }) => {
  const [nancy, andrew] = [await as('nancy'), await as('andrew')];
  await go(nancy.page, COMPANIES);
  await go(andrew.page, COMPANIES);
  await expect(nancy.page.getByRole('list', { name: 'Here now' })).toContainText('Andrew Fuller');

  await cell(andrew, 'Around the Horn', CITY).click();
  await andrew.page.keyboard.press('Enter');
  await expect(cell(nancy, 'Around the Horn', CITY)).toHaveAttribute('data-by', 'Andrew');
  await andrew.page.keyboard.press('Control+a');
  await andrew.page.keyboard.type('Brighton');
  await andrew.page.keyboard.press('Enter');
  await expect(cell(nancy, 'Around the Horn', CITY)).toHaveText('Brighton');
  // The next row has the focus; typing replaces, Esc restores.
  await expect(cell(andrew, "B's Beverages", CITY)).toBeFocused();
  await andrew.page.keyboard.type('X');
  await andrew.page.keyboard.press('Escape');
  await expect(cell(andrew, "B's Beverages", CITY)).toHaveText('London');

  // A row that fits no more stays, greyed.
  const { data } = await nancy.api<{ data: Rec[] }>('GET', `/records/contacts.company?search=${encodeURIComponent('Alfreds Futterkiste')}`);
  await nancy.api('PATCH', `/records/contacts.company/${data[0]?.id}`, { kind: ['partner'] });
  await expect(row(andrew, 'Alfreds Futterkiste')).toHaveAttribute('title', /no longer fits/);
  await nancy.api('PATCH', `/records/contacts.company/${data[0]?.id}`, { kind: ['customer'] });
});

test('a colleague’s change moves a card on my board; mine moves by mouse and by keyboard', async ({ as }) => {
  const [nancy, andrew] = [await as('nancy'), await as('andrew')];
  const deal = await nancy.api<Rec>('POST', '/records/sales.deal', {
    name: 'Card that moves',
    stage: 'lead',
    amount: { amount: '1000', currency: 'USD' },
  });
  await go(nancy.page, '/o/sales.deal');
  await go(andrew.page, '/o/sales.deal');
  const card = (person: Person, column: string) =>
    person.page.getByRole('region', { name: column }).getByRole('group', { name: 'Card that moves' });
  await expect(card(nancy, 'Lead')).toBeVisible();

  await andrew.api('PATCH', `/records/sales.deal/${deal.id}`, { stage: 'qualified' });
  await expect(card(nancy, 'Qualified')).toBeVisible();

  await card(nancy, 'Qualified').focus();
  await nancy.page.keyboard.press('Alt+ArrowRight');
  await expect(card(nancy, 'Proposal')).toBeFocused();
  await expect(card(andrew, 'Proposal')).toBeVisible();

  await card(andrew, 'Proposal').scrollIntoViewIfNeeded();
  const from = await card(andrew, 'Proposal').boundingBox();
  const to = await andrew.page.getByRole('region', { name: 'Negotiation' }).boundingBox();
  if (!from || !to) throw new Error('the board is not on screen');
  await andrew.page.mouse.move(from.x + 40, from.y + 20);
  await andrew.page.mouse.down();
  await andrew.page.mouse.move(from.x + 80, from.y + 40, { steps: 4 });
  await andrew.page.mouse.move(to.x + to.width / 2, to.y + 200, { steps: 8 });
  await andrew.page.mouse.up();
  await expect(card(nancy, 'Negotiation')).toBeVisible();
  expect((await nancy.api<Rec>('GET', `/records/sales.deal/${deal.id}`)).fields.stage).toBe('negotiation');
});

test('a filter, a sort and columns are saved as a view that others see', async ({ as }) => {
  const [nancy, andrew] = [await as('nancy'), await as('andrew')];
  const { page } = nancy;
  await go(page, '/o/contacts.company');
  await page.getByRole('button', { name: 'Filter', exact: true }).click();
  await page.keyboard.type('country');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('textbox').fill('Germany');
  await page.getByRole('button', { name: 'Done' }).click();
  await expect(page.getByRole('button', { name: /Country contains Germany/ })).toBeVisible();
  await page.getByRole('button', { name: 'City', exact: true }).click();
  await expect(page.getByRole('columnheader', { name: 'City' })).toHaveAttribute('aria-sort', 'ascending');
  await expect(page.getByRole('gridcell', { name: 'Aachen' })).toBeVisible();

  await page.getByRole('button', { name: 'Save view' }).click();
  await page.getByLabel('Name of the view').fill('Germans');
  await page.getByLabel('Share with all colleagues').check();
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('tab', { name: 'Germans' })).toHaveAttribute('aria-selected', 'true');

  await go(andrew.page, '/o/contacts.company');
  await andrew.page.getByRole('tab', { name: 'Germans' }).click();
  await expect(andrew.page.getByRole('button', { name: /Country contains Germany/ })).toBeVisible();
  await expect(andrew.page.getByRole('gridcell', { name: 'Aachen' })).toBeVisible();
});

test('a record is created with its complaints beside the fields, deleted in bulk and brought back', async ({ as }) => {
  const nancy = await as('nancy');
  const { page } = nancy;
  await go(page, COMPANIES);
  await page.keyboard.press('c');
  const dialog = page.getByRole('dialog', { name: 'New company' });
  await dialog.getByRole('button', { name: 'Create' }).click();
  await expect(dialog.getByRole('alert')).toHaveText('This is needed.');
  await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill('Aaa Trading');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await expect(row(nancy, 'Aaa Trading')).toBeVisible();
  await expect(dialog).toBeHidden();

  await page.getByRole('checkbox', { name: 'Select Aaa Trading' }).check();
  await page.getByRole('toolbar', { name: '1 selected' }).getByRole('button', { name: 'Delete' }).click();
  await expect(row(nancy, 'Aaa Trading')).toHaveCount(0);
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(row(nancy, 'Aaa Trading')).toBeVisible();
});

test('long lists load as they are scrolled, and the foot counts', async ({ as }) => {
  const { page } = await as('nancy');
  await go(page, '/o/sales.order');
  await expect(page.getByText('830 orders')).toBeVisible();
  const grid = page.getByRole('grid');
  await page.getByRole('gridcell').nth(1).click();
  await expect(async () => {
    await page.keyboard.press('Control+ArrowDown');
    await expect(grid).toContainText('10248', { timeout: 200 });
  }).toPass({ timeout: 40_000, intervals: [50] });
  // Far fewer rows are in the document than in the list.
  expect(await page.getByRole('row').count()).toBeLessThan(100);
});

test('the palette finds records, pages and actions, and works offline for what was seen', async ({ as }) => {
  const { page, context } = await as('nancy');
  await go(page, '/');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('ernst handel');
  await page
    .getByRole('option', { name: /^Ernst Handel/ })
    .first()
    .waitFor();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'Ernst Handel' })).toBeVisible();
  await go(page, '/o/contacts.company');
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: 'Find and do' }).waitFor();
  await context.setOffline(true);
  await page.keyboard.type('ernst');
  await expect(page.getByRole('option', { name: /^Ernst Handel/ })).toBeVisible();
  await expect(page.getByText('Shown is what you opened before')).toBeVisible();
  await context.setOffline(false);
});

test('what is typed right after Ctrl K is meant for the palette, though it is still being fetched', async ({ as }) => {
  const nancy = await as('nancy');
  const company = await find(nancy, 'contacts.company', 'name', 'Ernst Handel');
  await openRecord(nancy, 'contacts.company', company.id);
  await nancy.page.keyboard.press('Control+k');
  // H alone would open the history of the record.
  await nancy.page.keyboard.type('hanari');
  await expect(nancy.page.getByRole('combobox')).toHaveValue('hanari');
  await expect(nancy.page.getByRole('option', { name: /^Hanari Carnes/ }).first()).toBeVisible();
});

test('a task is done with one key, and undone', async ({ as }) => {
  const nancy = await as('nancy');
  await nancy.api('POST', '/records/contacts.task', { title: 'First of all', due: '2020-01-01' });
  await go(nancy.page, '/');
  const task = nancy.page.getByRole('group', { name: 'First of all' });
  await task.focus();
  await nancy.page.keyboard.press('d');
  await expect(task).toBeHidden();
  await nancy.page.getByRole('button', { name: 'Undo' }).click();
  await expect(task).toBeVisible();
});

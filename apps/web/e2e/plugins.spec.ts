/** Plugins switched off and on while people work with what they bring. */
import path from 'node:path';
import type { Page } from '@playwright/test';
import { expect, find, go, openRecord, saving, signIn, test, type Person } from './kith.ts';

const SHIPMENT = 'logistics.shipment';

/** What goes wrong in a page without anybody asking for it. */
function faults(page: Page): string[] {
  const found: string[] = [];
  page.on('pageerror', (error) => found.push(error.message));
  return found;
}
/** Marks a page, so that a reload would be noticed. */
const mark = (page: Page): Promise<void> => page.evaluate(() => void ((window as { marked?: boolean }).marked = true));
const isMarked = (page: Page): Promise<boolean> => page.evaluate(() => (window as { marked?: boolean }).marked === true);
const plugin = ({ page }: Person, name: string) => page.getByRole('listitem', { name, exact: true });

test('logistics is switched off and on while nancy and speedy work in it', async ({ as, browser, kith }) => {
  const [admin, nancy] = [await as('admin'), await as('nancy')];
  const speedy = await signIn(browser, kith, 'speedy@partners.example');
  const shipment = (await speedy.api<{ data: { id: string; fields: { number: string } }[] }>('GET', `/records/${SHIPMENT}?limit=1`))
    .data[0]!;
  const staffSide = await nancy.api<{ fields: { order: string } }>('GET', `/records/${SHIPMENT}/${shipment.id}`);
  const second = { ...nancy, page: await nancy.context.newPage() };
  const pages = [admin.page, nancy.page, second.page, speedy.page];
  const wrong = pages.map(faults);

  // Nancy has an order open with its shipments beside it, and in another window the shipment; Speedy has it too.
  await openRecord(nancy, 'sales.order', staffSide.fields.order);
  await openRecord(second, SHIPMENT, shipment.id);
  await go(speedy.page, `/portal/o/${SHIPMENT}/${shipment.id}`);
  await expect(saving(speedy)).toHaveText('Saved');
  await go(admin.page, '/settings/plugins');
  for (const page of pages) await mark(page);
  const beside = nancy.page.getByRole('heading', { name: 'Shipments' });
  await expect(beside).toBeVisible();
  const rail = nancy.page.getByRole('link', { name: 'Shipments' });
  await expect(rail).toBeVisible();

  const order = nancy.page.getByLabel('Note', { exact: true });
  await order.fill('The dock is shut on Friday. ');
  const instructions = second.page.getByLabel('Instructions');
  await instructions.fill('Ring twice. ');
  const note = speedy.page.getByLabel('Note on this shipment');
  await note.fill('Our van is late. ');
  await expect(saving(nancy)).toHaveText('Saved');
  await expect(saving(second)).toHaveText('Saved');
  await expect(saving(speedy)).toHaveText('Saved');
  // Typed at the moment in which it goes.
  await instructions.pressSequentially('And wait.');

  await expect(plugin(admin, 'Logistics')).toContainText('On');
  await admin.page.getByRole('button', { name: 'Switch off Logistics' }).click();
  await expect(plugin(admin, 'Logistics')).toContainText('Off');
  await expect(admin.page.getByText('Logistics is off. What it stored is kept.')).toBeVisible();

  await expect(beside).toBeHidden();
  await expect(rail).toBeHidden();
  await expect(second.page.getByText('This is switched off just now')).toBeVisible();
  await expect(speedy.page.getByText('This portal is closed just now')).toBeVisible();
  for (const [who, code] of [
    [nancy, 'plugin_off'],
    [speedy, 'not_found'],
  ] as const) {
    const answer = await who.request.get(`/api/v1/records/${SHIPMENT}/${shipment.id}`);
    expect([answer.status(), ((await answer.json()) as { code: string }).code]).toEqual([404, code]);
  }
  // What she was typing elsewhere is as it was, and goes on.
  await expect(order).toHaveValue('The dock is shut on Friday. ');
  await order.click();
  await nancy.page.keyboard.press('Control+End');
  await nancy.page.keyboard.type('Come on Monday.');
  await expect(saving(nancy)).toHaveText('Saved');
  if (process.env.KITH_PICTURES === '1') await pictures(admin, second, speedy);

  await admin.page.getByRole('button', { name: 'Switch on Logistics' }).click();
  await expect(plugin(admin, 'Logistics')).toContainText('On');
  await expect(beside).toBeVisible();
  await expect(rail).toBeVisible();
  await expect(instructions).toHaveValue('Ring twice. And wait.');
  await expect(saving(second)).toHaveText('Saved');
  await expect(note).toHaveValue('Our van is late. ');
  await expect(order).toHaveValue('The dock is shut on Friday. Come on Monday.');
  // And both are live again.
  await instructions.click();
  await second.page.keyboard.press('Control+End');
  await second.page.keyboard.type(' Thanks.');
  await expect(saving(second)).toHaveText('Saved');
  await expect
    .poll(
      async () => (await nancy.api<{ fields: { instructions: string } }>('GET', `/records/${SHIPMENT}/${shipment.id}`)).fields.instructions,
    )
    .toBe('Ring twice. And wait. Thanks.');

  expect(await Promise.all(pages.map(isMarked))).toEqual([true, true, true, true]);
  expect(wrong.flat()).toEqual([]);

  // Others find it as it was.
  await nancy.api('PATCH', `/records/${SHIPMENT}/${shipment.id}`, { instructions: null, carrierNote: null });
  await nancy.api('PATCH', `/records/sales.order/${staffSide.fields.order}`, { note: null });
  await speedy.context.close();
});

test('what others need is not switched off, and says who they are', async ({ as }) => {
  const [admin, nancy] = [await as('admin'), await as('nancy')];
  await go(admin.page, '/settings/plugins');
  const contacts = plugin(admin, 'Contacts');
  await expect(contacts.getByRole('button', { name: 'Switch off Contacts' })).toBeDisabled();
  await expect(contacts).toContainText(/Needed by .*Sales/);
  await expect(contacts).toContainText('Companies · People');
  await expect(contacts).toContainText(/rows · .* on disk/);
  // It is for administrators.
  const answer = await nancy.request.get('/api/v1/plugins');
  expect(answer.status()).toBe(403);
  await go(nancy.page, '/settings/plugins');
  await expect(nancy.page.getByText('You may not see this')).toBeVisible();
  await expect(nancy.page.getByRole('link', { name: 'Plugins' })).toHaveCount(0);
  await find(nancy, 'contacts.company', 'externalId', 'ALFKI');
});

test('a list of equipment is brought in, and the paper of a loan taken out', async ({ as }) => {
  const admin = await as('admin');
  const { page, api } = admin;
  await api('POST', '/plugins/example/enable', {});
  try {
    await go(page, '/o/example.equipment');
    const choose = async (content: string): Promise<void> => {
      await page.getByLabel('File (.csv)').setInputFiles({ name: 'workshop.csv', mimeType: 'text/csv', buffer: Buffer.from(content) });
      await page.getByRole('button', { name: 'Import', exact: true }).click();
    };
    await page.getByRole('button', { name: 'More', exact: true }).click();
    await page.getByRole('menuitem', { name: 'Import: List of equipment (CSV)' }).click();
    await choose('name,kind,rate\nJigsaw,tool,7.50\nBalloon,aircraft,90\nHoist,tool,much');
    const dialog = page.getByRole('dialog');
    await expect(dialog.getByRole('alert')).toHaveText('Nothing was imported: one thing needs fixing.');
    await expect(dialog.getByRole('listitem')).toContainText(['line 3 “aircraft” is no kind']);
    await choose('name,kind,rate\nJigsaw,tool,7.50\nHoist,tool,much');
    await expect(dialog.getByRole('listitem')).toContainText(['line 3, Rate per day']);
    if (process.env.KITH_PICTURES === '1') await shots('import', admin);
    await expect(page.getByRole('row', { name: /Jigsaw/ })).toHaveCount(0);
    await choose('name,kind,rate\nJigsaw,tool,7.50\nHoist,vehicle,30');
    await expect(page.getByText('2 records imported.')).toBeVisible();
    await expect(page.getByRole('row', { name: /Jigsaw.*Tool/ })).toBeVisible();

    const { data } = await api<{ data: { id: string }[] }>('GET', '/records/example.equipment?search=hoist');
    const { id: borrower } = await find(admin, 'contacts.company', 'externalId', 'ALFKI');
    const loan = await api<{ id: string; fields: { number: string } }>('POST', '/records/example.loan', {
      equipment: data[0]!.id,
      borrower,
      due: '2099-01-01',
    });
    await openRecord(admin, 'example.loan', loan.id);
    await page.getByRole('button', { name: 'Hand out' }).click();
    await expect
      .poll(async () => (await api<{ fields: { status: string } }>('GET', `/records/example.loan/${loan.id}`)).fields.status)
      .toBe('out');
    await page.getByRole('button', { name: 'More', exact: true }).click();
    const [paper] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: 'Download slip' }).click()]);
    expect(paper.suggestedFilename()).toBe(`${loan.fields.number}.txt`);
  } finally {
    await api('POST', '/plugins/example/disable', {});
  }
});

/** Looked at by whoever changes these screens. */
async function pictures(admin: Person, staff: Person, partner: Person): Promise<void> {
  await shots('plugins', admin);
  await shots('plugin-off', staff);
  await shots('portal-closed', partner);
}
async function shots(name: string, { page }: Person): Promise<void> {
  const folder = path.resolve(import.meta.dirname, '../../../test-results');
  for (const width of [1440, 390])
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(200);
      await page.screenshot({ path: path.join(folder, `${name}-${width}-${colorScheme}.png`) });
    }
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.emulateMedia({ colorScheme: 'light' });
}

/** Several people in one record at once. */
import { expect, find, openRecord, saving, test, type Rec } from './kith.ts';

const COMPANY = 'contacts.company';

test('two people edit different fields, the same text and a note, and see each other at it', async ({ as }) => {
  const [nancy, andrew] = [await as('nancy'), await as('andrew')];
  const company = await find(nancy, COMPANY, 'externalId', 'ERNSH');
  await openRecord(nancy, COMPANY, company.id);
  await openRecord(andrew, COMPANY, company.id);

  // Each sees the other at the head.
  await expect(nancy.page.getByRole('list', { name: 'Here now' })).toContainText('Andrew Fuller');
  await expect(andrew.page.getByRole('list', { name: 'Here now' })).toContainText('Nancy Davolio');

  // Different fields. What is typed is seen before it is a value, with the name of who types.
  const [theirCity, hisCity] = [nancy.page.getByLabel('City', { exact: true }), andrew.page.getByLabel('City', { exact: true })];
  await hisCity.click();
  await andrew.page.keyboard.press('End');
  await andrew.page.keyboard.type(' Nord', { delay: 20 });
  await expect(theirCity).toHaveValue('Graz Nord');
  await expect(nancy.page.locator('[data-field=city]')).toContainText('Andrew');
  await nancy.page.getByLabel('Region', { exact: true }).fill('Styria');
  await nancy.page.keyboard.press('Enter');
  await andrew.page.keyboard.press('Enter');
  await expect(andrew.page.getByLabel('Region', { exact: true })).toHaveValue('Styria');
  await expect(theirCity).toHaveValue('Graz Nord');

  // The same text, both at once, each with the other's caret.
  const [hers, his] = [nancy.page.getByLabel('Summary'), andrew.page.getByLabel('Summary')];
  await hers.fill('Buys for eleven shops.');
  await expect(his).toHaveValue('Buys for eleven shops.');
  await hers.click();
  await nancy.page.keyboard.press('Control+End');
  await his.click();
  await andrew.page.keyboard.press('Control+Home');
  await expect(nancy.page.locator('[data-field=summary] [data-by=Andrew]')).toBeAttached();
  await expect(andrew.page.locator('[data-field=summary] [data-by=Nancy]')).toBeAttached();
  await Promise.all([
    nancy.page.keyboard.type(' Pallets on Tuesdays.', { delay: 15 }),
    andrew.page.keyboard.type('Ernst Handel in Graz. ', { delay: 15 }),
  ]);
  const both = 'Ernst Handel in Graz. Buys for eleven shops. Pallets on Tuesdays.';
  await expect(hers).toHaveValue(both);
  await expect(his).toHaveValue(both);
  // Nobody's typing moved the other's caret.
  await nancy.page.keyboard.type(' End.');
  await andrew.page.keyboard.type('Note: ');
  await expect(his).toHaveValue('Ernst Handel in Graz. Note: Buys for eleven shops. Pallets on Tuesdays. End.');

  // A note with formatting.
  const [herNote, hisNote] = [nancy.page.getByRole('textbox', { name: 'Notes' }), andrew.page.getByRole('textbox', { name: 'Notes' })];
  await herNote.click();
  await nancy.page.keyboard.press('Control+End');
  await nancy.page.keyboard.press('Enter');
  await nancy.page.keyboard.type('Hold the Christmas allocation', { delay: 10 });
  await expect(hisNote).toContainText('Hold the Christmas allocation');
  await hisNote.click();
  await expect(nancy.page.locator('.rich-caret[data-by=Andrew]')).toBeAttached();
  await andrew.page.keyboard.press('Control+Home');
  // The editor hears a moment later where the browser has put the caret, and what was chosen for the old place ends then.
  await andrew.page.waitForTimeout(150);
  await andrew.page.keyboard.press('Control+b');
  await andrew.page.keyboard.type('Urgent: ', { delay: 10 });
  await expect(herNote.locator('strong', { hasText: 'Urgent:' })).toBeVisible();

  // A third client writes through the API, and both see it.
  await andrew.page.getByRole('heading', { name: 'Ernst Handel' }).first().click();
  await nancy.api('PATCH', `/records/${COMPANY}/${company.id}`, { country: 'Österreich' });
  await expect(nancy.page.getByLabel('Country', { exact: true })).toHaveValue('Österreich');
  await expect(andrew.page.getByLabel('Country', { exact: true })).toHaveValue('Österreich');

  await expect(saving(nancy)).toHaveText('Saved');
  await expect(saving(andrew)).toHaveText('Saved');
  await expect
    .poll(async () => (await nancy.api<Rec>('GET', `/records/${COMPANY}/${company.id}`)).fields)
    .toMatchObject({
      city: 'Graz Nord',
      region: 'Styria',
      country: 'Österreich',
      summary: 'Ernst Handel in Graz. Note: Buys for eleven shops. Pallets on Tuesdays. End.',
      notes: expect.stringMatching(/\*\*Urgent:/),
    });

  // Undo takes back one's own edits only, whichever field they are in.
  await andrew.page.locator('[data-field=notes]').getByRole('textbox').focus();
  for (let i = 0; i < 8; i++) await andrew.page.keyboard.press('Control+z');
  await expect(hisCity).toHaveValue('Graz');
  await expect(andrew.page.getByLabel('Region', { exact: true })).toHaveValue('Styria');
  await expect(hers).toHaveValue('Buys for eleven shops. Pallets on Tuesdays. End.');
});

test('the server is killed while they type; nothing that said saved is gone, and nothing is doubled', async ({ as, kith }) => {
  const [nancy, andrew] = [await as('nancy'), await as('andrew')];
  const company = await find(nancy, COMPANY, 'externalId', 'QUICK');
  await openRecord(nancy, COMPANY, company.id);
  await openRecord(andrew, COMPANY, company.id);
  const [hers, his] = [nancy.page.getByLabel('Summary'), andrew.page.getByLabel('Summary')];
  await hers.fill('');
  await hers.click();
  const words = Array.from({ length: 40 }, (_, i) => `word${i} `);
  const typing = nancy.page.keyboard.type(words.join(''), { delay: 8 });
  await nancy.page.waitForTimeout(600);
  kith.crash();
  await typing;
  await his.click();
  await andrew.page.keyboard.press('Control+Home');
  await andrew.page.keyboard.type('While it was away. ');
  await kith.back();

  await expect(saving(nancy)).toHaveText('Saved', { timeout: 30_000 });
  await expect(saving(andrew)).toHaveText('Saved', { timeout: 30_000 });
  const all = `While it was away. ${words.join('')}`;
  await expect(hers).toHaveValue(all);
  await expect(his).toHaveValue(all);
  await nancy.page.reload();
  await expect(nancy.page.getByLabel('Summary')).toHaveValue(all);
  await expect.poll(async () => (await nancy.api<Rec>('GET', `/records/${COMPANY}/${company.id}`)).fields.summary).toBe(all);
});

test('what is not saved is never called saved, and comes back after the browser was closed', async ({ as, kith }) => {
  const nancy = await as('nancy');
  const company = await find(nancy, COMPANY, 'externalId', 'SAVEA');
  await openRecord(nancy, COMPANY, company.id);
  const summary = nancy.page.getByLabel('Summary');
  await summary.fill('Known to the server.');
  await expect(saving(nancy)).toHaveText('Saved');

  const web = kith.freeze();
  await summary.press('Control+End');
  await nancy.page.keyboard.type(' Typed into the void.');
  await expect(saving(nancy)).not.toHaveText('Saved');
  // A browser that is closed within the same moment as the key may lose it before its own disk has it: nobody is as quick.
  await nancy.page.waitForTimeout(250);
  // The page goes, and the server dies with what still lay in its socket.
  await nancy.page.close();
  process.kill(web, 'SIGKILL');
  await kith.back();
  expect((await nancy.api<Rec>('GET', `/records/${COMPANY}/${company.id}`)).fields.summary).toBe('Known to the server.');

  nancy.page = await nancy.context.newPage();
  await openRecord(nancy, COMPANY, company.id);
  await expect(nancy.page.getByLabel('Summary')).toHaveValue('Known to the server. Typed into the void.');
  await expect
    .poll(async () => (await nancy.api<Rec>('GET', `/records/${COMPANY}/${company.id}`)).fields.summary)
    .toBe('Known to the server. Typed into the void.');
});

test('an invalid value is refused beside its field, and a deleted record says so', async ({ as }) => {
  const [nancy, andrew] = [await as('nancy'), await as('andrew')];
  const made = await nancy.api<Rec>('POST', `/records/${COMPANY}`, { name: 'Soon gone', email: 'a@b.example' });
  await openRecord(nancy, COMPANY, made.id);
  await openRecord(andrew, COMPANY, made.id);

  const mail = nancy.page.getByLabel('E-mail');
  await mail.fill('nonsense');
  await mail.press('Enter');
  await expect(nancy.page.getByRole('alert')).toContainText('Write an e-mail address');
  await mail.press('Escape');
  await expect(mail).toHaveValue('a@b.example');

  await nancy.page.getByRole('button', { name: 'More', exact: true }).click();
  await nancy.page.getByRole('menuitem', { name: 'Delete' }).click();
  await expect(nancy.page).toHaveURL(/\/o\/contacts\.company$/);
  await expect(andrew.page.getByText('This record was deleted.')).toBeVisible();
  await expect(andrew.page.getByLabel('E-mail')).not.toBeEditable();

  await nancy.page.getByRole('button', { name: 'Undo' }).click();
  await expect(nancy.page.getByRole('heading', { level: 1, name: 'Soon gone' })).toBeVisible();
});

test('history shows an earlier state and brings one field back', async ({ as }) => {
  const nancy = await as('nancy');
  const made = await nancy.api<Rec>('POST', `/records/${COMPANY}`, { name: 'With a past', city: 'Wien' });
  await nancy.api('PATCH', `/records/${COMPANY}/${made.id}`, { city: 'Linz' });
  await nancy.api('PATCH', `/records/${COMPANY}/${made.id}`, { city: 'Graz', country: 'Austria' });
  await openRecord(nancy, COMPANY, made.id);
  const { page } = nancy;
  await page.getByRole('button', { name: 'History' }).click();
  const slider = page.getByRole('slider');
  await expect(slider).toBeFocused();
  await slider.press('ArrowLeft');
  await expect(page.locator('[data-field=city]')).toContainText('Linz');
  await expect(page.getByText('2 fields differ')).toBeVisible();
  await page.getByRole('button', { name: 'Restore City' }).click();
  await expect(page.getByLabel('City', { exact: true })).toHaveValue('Linz');
  await expect(page.getByLabel('Country', { exact: true })).toHaveValue('Austria');
});

test('notes, calls and tasks stand on the timeline of both', async ({ as }) => {
  const [nancy, andrew] = [await as('nancy'), await as('andrew')];
  const company = await find(nancy, COMPANY, 'externalId', 'HUNGO');
  await openRecord(nancy, COMPANY, company.id);
  await openRecord(andrew, COMPANY, company.id);
  await nancy.page.getByLabel('Write a note').fill('Wants the offer by Friday.');
  await nancy.page.getByRole('button', { name: 'Add note' }).click();
  await expect(andrew.page.getByRole('region', { name: 'Timeline' })).toContainText('Wants the offer by Friday.');

  await nancy.page.getByRole('tab', { name: 'Task' }).click();
  await nancy.page.getByLabel('What is to be done').fill('Write the offer');
  await nancy.page.getByRole('button', { name: 'Add task' }).click();
  const task = andrew.page.getByRole('checkbox', { name: 'Write the offer' });
  await expect(task).toBeVisible();
  await task.check();
  await expect(nancy.page.getByRole('checkbox', { name: 'Write the offer' })).toBeChecked();
});

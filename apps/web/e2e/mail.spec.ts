/** Mail on screen: written to one and to many, kept in the house without a mail server, and never sent against somebody's will. */
import { expect, find, go, openRecord, test, type Person, type Rec } from './kith.ts';

const dialogOf = ({ page }: Person, name: string | RegExp) => page.getByRole('dialog', { name });
async function write(person: Person) {
  await person.page.getByRole('button', { name: 'More', exact: true }).click();
  await person.page.getByRole('menuitem', { name: 'Write a mail' }).click();
  return dialogOf(person, 'Write a mail');
}
/** A new person whom one can write to. */
async function somebody(person: Person, firstName: string, lastName = 'Mendel'): Promise<Rec> {
  const company = await find(person, 'contacts.company', 'externalId', 'ERNSH');
  return person.api<Rec>('POST', '/records/contacts.person', {
    firstName,
    lastName,
    email: `${firstName}.${lastName}@people.example`.toLowerCase(),
    company: company.id,
  });
}

test('a mail is written from a person’s page, kept in the house, and stands on their timeline without a reload', async ({ as }) => {
  const nancy = await as('nancy');
  const { page } = nancy;
  const person = await somebody(nancy, 'Roland');
  await openRecord(nancy, 'contacts.person', person.id);
  const dialog = await write(nancy);
  await expect(dialog.getByLabel('Purpose')).toHaveValue('correspondence');
  await expect(dialog.getByText('No mail server is named')).toBeVisible();

  // What is written with a variable is shown as it will be read.
  await dialog.getByRole('textbox', { name: 'Subject' }).fill('Samples for ');
  await dialog.getByRole('button', { name: 'Insert a variable: Subject' }).click();
  const list = page.locator('.popover:popover-open');
  await list.getByRole('combobox').fill('first name');
  await list.getByRole('option', { name: /First name/ }).click();
  await expect(dialog.getByRole('textbox', { name: 'Subject' })).toHaveValue('Samples for {{person.firstName}}');
  await dialog.getByRole('textbox', { name: 'Text' }).fill('Shall we send some?');
  const subject = `Samples for ${person.fields.firstName as string}`;
  await expect(dialog.getByRole('heading', { name: subject })).toBeVisible();

  // What could not be sent is not lost.
  await page.route('**/api/v1/x/inbox/write', (route) => route.abort());
  await dialog.getByRole('button', { name: 'Send', exact: true }).click();
  await expect(dialog.getByText('Your text is still here.')).toBeVisible();
  await page.unroute('**/api/v1/x/inbox/write');
  await dialog.getByRole('button', { name: 'Send', exact: true }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByText('The mail is kept in the local outbox.')).toBeVisible();

  // On the timeline, leading to the message.
  await expect(page.getByRole('complementary').getByRole('link', { name: subject })).toBeVisible();
  const item = page.getByRole('region', { name: 'Timeline' }).getByRole('listitem').filter({ hasText: subject });
  await expect(item).toContainText('Kept in the house');
  await expect(item).toContainText('Nancy Davolio to Roland Mendel');
  await expect(item).toContainText('Shall we send some?');
  await item.getByRole('link', { name: subject }).click();
  await expect(page.getByRole('heading', { name: subject, level: 1 })).toBeVisible();
  await expect(page.getByText('Nothing left the house')).toBeVisible();
  await expect(page.getByText('Shall we send some?').first()).toBeVisible();

  await go(page, '/o/inbox.message?view=outbox');
  await expect(page.getByText('Nothing leaves the house: no mail server is named (SMTP_URL).')).toBeVisible();
  await expect(page.getByRole('row', { name: new RegExp(subject) })).toContainText('Kept in the house');
});

test('a newsletter goes to nobody who did not ask for it, and consent is granted beside the person', async ({ as }) => {
  const nancy = await as('nancy');
  const { page } = nancy;
  const person = await somebody(nancy, 'Ute');
  await openRecord(nancy, 'contacts.person', person.id);
  const dialog = await write(nancy);
  await dialog.getByLabel('Template').selectOption({ label: 'News of the month' });
  await expect(dialog.getByLabel('Purpose')).toHaveValue('newsletter');
  await expect(dialog.getByText('No consent for “Newsletter”.')).toBeVisible();
  await expect(dialog.getByRole('button', { name: /^Send/ })).toBeDisabled();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await expect(dialog).toBeHidden();

  await page.getByRole('button', { name: 'Grant consent: Newsletter' }).click();
  const form = dialogOf(nancy, 'Grant consent: Newsletter');
  await form.getByRole('button', { name: 'Grant' }).click();
  await expect(form.getByText('Say where it comes from.')).toBeVisible();
  await form.getByLabel('Source').fill('Trade fair');
  await form.getByLabel('Proof').fill('Card 12');
  await form.getByRole('button', { name: 'Grant' }).click();
  await expect(page.getByText('Source: Trade fair')).toBeVisible();
  const again = await write(nancy);
  await again.getByLabel('Purpose').selectOption({ label: 'Newsletter' });
  await expect(again.getByRole('button', { name: 'Send', exact: true })).toBeEnabled();
  await again.getByRole('button', { name: 'Cancel' }).click();

  await page.getByRole('button', { name: 'Withdraw consent: Newsletter' }).click();
  const withdrawal = dialogOf(nancy, 'Withdraw consent: Newsletter');
  await withdrawal.getByLabel('Source').fill('Call');
  await withdrawal.getByRole('button', { name: 'Withdraw' }).click();
  await expect(page.getByText('Source: Call')).toBeVisible();
});

test('many are written to from a list, and it is said before who is left out and why', async ({ as }) => {
  const nancy = await as('nancy');
  const { page } = nancy;
  const people: Rec[] = [];
  for (const name of ['Ada', 'Ben', 'Cleo']) people.push(await somebody(nancy, name, 'Mailing'));
  const newsletter = await find(nancy, 'consent.purpose', 'key', 'newsletter');
  await nancy.api('POST', '/records/consent.consent', { person: people[0]?.id, purpose: newsletter.id, status: 'granted', source: 'Form' });
  await go(page, `/o/contacts.person?filter=${encodeURIComponent(JSON.stringify([{ field: 'lastName', op: 'eq', value: 'Mailing' }]))}`);
  for (const { title } of people) await page.getByRole('checkbox', { name: title }).check();
  await page.getByRole('toolbar').getByRole('button', { name: 'Write a mail' }).click();
  const dialog = dialogOf(nancy, 'Write to 3 people');
  await dialog.getByLabel('Purpose').selectOption({ label: 'Newsletter' });
  const left = dialog.getByRole('region', { name: 'Left out' });
  await expect(left.getByRole('listitem')).toHaveCount(2);
  await expect(left.getByRole('listitem').first()).toContainText('No consent for “Newsletter”.');
  await expect(dialog.getByRole('button', { name: 'Send to 1 person' })).toBeEnabled();
  await dialog.getByRole('textbox', { name: 'Subject' }).fill('Autumn list');
  await dialog.getByRole('textbox', { name: 'Text' }).fill('It is here.');
  await dialog.getByRole('button', { name: 'Send to 1 person' }).click();
  await expect(page.getByText('2 were left out.')).toBeVisible();
});

test('whoever may only read is not offered to write', async ({ as }) => {
  const admin = await as('admin');
  const person = await somebody(admin, 'Vera');
  const { data } = await admin.api<{ data: { id: string; email: string }[] }>('GET', '/users');
  const { id } = data.find(({ email }) => email.startsWith('laura@'))!;
  await admin.api('PATCH', `/users/${id}`, { role: 'reader' });
  const laura = await as('laura');
  const { page } = laura;
  await go(page, `/o/contacts.person/${person.id}`);
  await page.getByRole('button', { name: 'More', exact: true }).click();
  await expect(page.getByRole('menuitem', { name: 'Copy link' })).toBeVisible();
  await expect(page.getByRole('menuitem', { name: 'Write a mail' })).toHaveCount(0);
  await expect(page.getByRole('button', { name: /^Grant consent/ })).toHaveCount(0);
  await expect(
    laura.api('POST', '/x/inbox/write', { to: [{ object: 'contacts.person', id: person.id }], purpose: 'correspondence', subject: 'No' }),
  ).rejects.toThrow('403');
  // The tests after this one find her as she was.
  await admin.api('PATCH', `/users/${id}`, { role: 'member' });
});

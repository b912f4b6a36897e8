/** What people are told, under their bells and without a reload. */
import { expect, find, go, openRecord, signIn, test, type Person, type Rec } from './kith.ts';

const ORDER = 'suppliers.purchaseOrder';
const LINE = 'suppliers.purchaseOrderLine';

interface User {
  id: string;
  name: string;
  email: string;
}
interface Listed {
  data: Rec[];
}
const list = async (person: Person, object: string, filter: object, rest = ''): Promise<Rec[]> =>
  (await person.api<Listed>('GET', `/records/${object}?filter=${encodeURIComponent(JSON.stringify(filter))}${rest}`)).data;
const userOf = async (person: Person, fits: (user: User) => boolean): Promise<User> => {
  const found = (await person.api<{ data: User[] }>('GET', '/users')).data.find(fits);
  if (!found) throw new Error('there is no such user');
  return found;
};
const bell = ({ page }: Person) => page.getByRole('button', { name: /^Notifications/ });
const panel = ({ page }: Person) => page.getByRole('dialog', { name: 'Notifications' });

test('who is given a task or named in a note hears of it at once, and has read it in every window', async ({ as }) => {
  const [andrew, nancy] = [await as('andrew'), await as('nancy')];
  const her = await userOf(andrew, ({ name }) => name === 'Nancy Davolio');
  const alfreds = await find(andrew, 'contacts.company', 'externalId', 'ALFKI');
  await nancy.api('POST', '/notices/read', {});
  // What she was told before, by whatever ran before this.
  const before = (await nancy.api<{ data: unknown[] }>('GET', '/notices?limit=100')).data.length;
  // Two windows of hers.
  const second = { ...nancy, page: await nancy.context.newPage() };
  await go(nancy.page, '/o/contacts.company');
  await go(second.page, '/o/contacts.person');
  await expect(bell(nancy)).toHaveText('Notifications');

  // Andrew gives her a task.
  const task = await andrew.api<Rec>('POST', '/records/contacts.task', {
    title: 'Call the harbour',
    owner: her.id,
    about: { object: 'contacts.company', id: alfreds.id },
  });
  await expect(bell(nancy)).toContainText('1 unread');
  await expect(bell(second)).toContainText('1 unread');
  await expect(nancy.page.getByRole('status').filter({ hasText: 'Call the harbour' })).toContainText('Assigned to you');

  // He names her in a note: the names are offered, and one is taken with the keyboard.
  await openRecord(andrew, 'contacts.company', alfreds.id);
  const note = andrew.page.getByRole('form', { name: 'Write' }).or(andrew.page.locator('form.composer')).getByRole('textbox').first();
  await note.click();
  await note.pressSequentially('The bill is with @nan');
  await expect(andrew.page.getByRole('option', { name: 'Nancy Davolio' })).toBeVisible();
  await note.press('Enter');
  await note.pressSequentially('since Monday');
  await expect(note).toHaveValue('The bill is with @Nancy Davolio since Monday');
  await note.press('Control+Enter');
  await expect(bell(nancy)).toContainText('2 unread', { timeout: 15_000 });

  // The key opens the panel; arrows and Enter lead to the record.
  await nancy.page.keyboard.press('n');
  const rows = panel(nancy).getByRole('listitem');
  await expect(rows).toHaveCount(before + 2);
  await expect(rows.nth(0)).toContainText('You were mentioned');
  await expect(rows.nth(0)).toContainText('Alfreds Futterkiste');
  await expect(rows.nth(0)).toContainText('since Monday');
  await expect(rows.nth(0)).toContainText('Andrew Fuller');
  await expect(rows.nth(0).getByRole('link')).toBeFocused();
  await nancy.page.keyboard.press('ArrowDown');
  await nancy.page.keyboard.press('Enter');
  await expect(nancy.page).toHaveURL(new RegExp(`/o/contacts.task/${task.id}$`));
  await expect(panel(nancy)).toBeHidden();
  await expect(bell(nancy)).toContainText('1 unread');
  // In her other window too, and after a reload.
  await expect(bell(second)).toContainText('1 unread');
  await go(second.page, '/');
  await expect(second.page.getByRole('heading', { name: /^Unread/ })).toBeVisible();
  await bell(second).click();
  await expect(panel(second).getByRole('listitem').filter({ hasText: 'Unread' })).toHaveCount(1);
  await panel(second).getByRole('button', { name: 'Unread' }).click();
  await expect(panel(second).getByRole('listitem')).toHaveCount(1);
  await panel(second).getByRole('button', { name: 'Mark all as read' }).click();
  await expect(bell(second)).toHaveText('Notifications');
  await expect(bell(nancy)).toHaveText('Notifications');
  await second.page.keyboard.press('Escape');
  await expect(panel(second)).toBeHidden();

  // She does not want to be told of tasks any more.
  await go(nancy.page, '/settings/profile');
  const care = nancy.page.getByRole('group', { name: 'Contacts' }).getByRole('checkbox', { name: 'Assigned to you' });
  await expect(care).toBeChecked();
  await care.uncheck();
  await expect(nancy.page.getByRole('status').filter({ hasText: 'Saved' })).toBeVisible();
  await expect(nancy.page.getByText('This needs a mail server')).toBeVisible();
  await andrew.api('POST', '/records/contacts.task', { title: 'Unheard', owner: her.id });
  await andrew.api('POST', '/records/contacts.activity', {
    kind: 'note',
    at: new Date().toISOString(),
    body: 'Ask @Nancy Davolio',
    about: { object: 'contacts.company', id: alfreds.id },
  });
  await expect(bell(nancy)).toContainText('1 unread');
  await bell(nancy).click();
  await expect(panel(nancy).getByRole('listitem').first()).toContainText('You were mentioned');
  await expect(panel(nancy).getByText('Unheard')).toHaveCount(0);
  await nancy.api('PATCH', '/notices/choices', { kinds: { 'contacts.assigned': true } });
});

test('a colleague is named in a formatted text, by pointer, and a task is remembered with one press', async ({ as }) => {
  const [andrew, nancy] = [await as('andrew'), await as('nancy')];
  const her = await userOf(andrew, ({ name }) => name === 'Nancy Davolio');
  const company = await find(andrew, 'contacts.company', 'externalId', 'ANATR');
  await nancy.api('POST', '/notices/read', {});
  await go(nancy.page, '/');
  await openRecord(andrew, 'contacts.company', company.id);
  const notes = andrew.page.getByRole('textbox', { name: 'Notes' });
  await notes.click();
  await notes.pressSequentially('Please see to it, @na');
  await andrew.page.getByRole('option', { name: 'Nancy Davolio' }).click();
  await notes.pressSequentially('soon');
  await expect(notes).toHaveText('Please see to it, @Nancy Davolio soon');
  // Once the text is at rest.
  await expect(bell(nancy)).toContainText('1 unread', { timeout: 20_000 });
  await expect
    .poll(async () => (await find(andrew, 'contacts.company', 'externalId', 'ANATR')).fields.notes)
    .toBe('Please see to it, @Nancy Davolio soon');
  await expect(nancy.page.getByRole('heading', { name: 'Unread' })).toBeVisible();

  const task = await nancy.api<Rec>('POST', '/records/contacts.task', { title: 'Think of it', owner: her.id });
  await openRecord(nancy, 'contacts.task', task.id);
  await nancy.page.getByRole('button', { name: 'More' }).first().click();
  await nancy.page.getByRole('menuitem', { name: 'Remind tomorrow morning' }).click();
  await expect(nancy.page.getByRole('status').filter({ hasText: 'Reminder set' })).toBeVisible();
  const reminder = async (): Promise<unknown> => (await nancy.api<Rec>('GET', `/records/contacts.task/${task.id}`)).fields.reminder;
  await expect.poll(reminder).toMatch(/T08:00/);
  await nancy.page.getByRole('button', { name: 'Undo' }).click();
  await expect.poll(reminder).toBeNull();
});

test('a supplier confirms late: the owner’s task and bell appear without a reload, and the run is shown', async ({ as, kith, browser }) => {
  test.setTimeout(120_000);
  const admin = await as('admin');
  const tokyo = await signIn(browser, kith, 'tokyo@partners.example');
  const [order] = await list(tokyo, ORDER, { field: 'status', op: 'eq', value: 'open' }, '&limit=1&sort=-number');
  if (!order) throw new Error('tokyo has no open purchase order');
  const whole = await admin.api<Rec>('GET', `/records/${ORDER}/${order.id}`);
  const [line] = await list(admin, LINE, { field: 'purchaseOrder', op: 'eq', value: order.id }, '&limit=1');
  if (!line) throw new Error('the order has no line');
  const him = await userOf(admin, ({ id }) => id === whole.fields.owner);
  const owner = await signIn(browser, kith, him.email);
  await owner.api('POST', '/notices/read', {});
  await go(owner.page, '/');
  await expect(bell(owner)).toHaveText('Notifications');

  // In the portal, the supplier confirms the line for nine days later.
  const item = line.fields.item as string;
  const late = new Date(Date.parse(`${order.fields.requiredDate as string}T00:00:00Z`) + 9 * 86_400_000).toISOString().slice(0, 10);
  await go(tokyo.page, `/portal/o/${ORDER}/${order.id}`);
  const card = tokyo.page.locator(`[data-line="${item}"]`);
  await card.getByLabel(`Ready on, ${item}`).fill(late);
  await card.getByRole('button', { name: /: propose \d+ for/ }).click();
  await expect(card.getByText(/^Proposed: /)).toBeVisible();

  // The owner's screen is not touched meanwhile.
  const task = owner.page.getByRole('link', { name: new RegExp(`^${item} on ${whole.fields.number as string} comes 9 days late$`) });
  await expect(task.first()).toBeVisible({ timeout: 20_000 });
  await expect(bell(owner)).toContainText(/[1-9]\d* unread/);
  await bell(owner).click();
  const answered = panel(owner).getByRole('listitem').filter({ hasText: 'A supplier has answered' });
  await expect(answered).toBeVisible();
  await expect(panel(owner).getByRole('listitem').filter({ hasText: 'comes 9 days late' })).toBeVisible();
  await answered.getByRole('link').click();
  await expect(owner.page).toHaveURL(/\/o\/suppliers\./);

  // The run stands on the line that it was about.
  const [run] = await list(admin, 'automation.run', { field: 'about', op: 'eq', value: { object: LINE, id: line.id } }, '&limit=1');
  expect(run?.fields.status).toBe('done');
  await go(admin.page, `/o/automation.run/${run!.id}`);
  const steps = admin.page.getByRole('list', { name: 'What it does' }).getByRole('listitem');
  await expect(steps).toHaveCount(1);
  await expect(steps.first()).toContainText('Done');
  await expect(steps.first()).toContainText('comes 9 days late');
  // The line is put to the supplier again, as whoever comes after this expects it.
  await admin.api('POST', `/records/${LINE}/${line.id}/actions/counter`, { answer: 'As it was ordered' });
  await expect.poll(async () => (await admin.api<Rec>('GET', `/records/${ORDER}/${order.id}`)).fields.status).toBe('open');
  for (const { context } of [tokyo, owner]) await context.close();
});

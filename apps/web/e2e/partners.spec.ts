/** Partners in the same records as the staff, each seeing exactly their own. */
import type { BrowserContextOptions, Page } from '@playwright/test';
import { expect, find, go, openRecord, PASSWORD, saving, signIn, test as base, type Person, type Rec } from './kith.ts';

const ORDER = 'suppliers.purchaseOrder';
const LINE = 'suppliers.purchaseOrderLine';
const SHIPMENT = 'logistics.shipment';

interface Fixtures {
  /** Signs in one of the demo's partners. */
  partner: (name: 'exotic' | 'tokyo' | 'speedy' | 'united', options?: BrowserContextOptions) => Promise<Person>;
}
const test = base.extend<Fixtures>({
  partner: async ({ browser, kith }, use) => {
    const people: Person[] = [];
    await use(async (name, options) => {
      const person = await signIn(browser, kith, `${name}@partners.example`, options);
      people.push(person);
      return person;
    });
    for (const { context } of people) await context.close();
  },
});

interface Listed {
  data: Rec[];
}
const list = async (person: Person, object: string, filter: object, rest = ''): Promise<Rec[]> =>
  (await person.api<Listed>('GET', `/records/${object}?filter=${encodeURIComponent(JSON.stringify(filter))}${rest}`)).data;

/** Everything that the network brings to a page: answers of requests and frames of sockets. */
function wiretap(page: Page): { heard: () => Promise<string> } {
  const pieces: Promise<string>[] = [];
  page.on('response', (response) => {
    pieces.push(
      response.text().then(
        (body) => `${response.url()}\n${body}`,
        () => response.url(),
      ),
    );
  });
  page.on('websocket', (socket) => {
    socket.on('framereceived', ({ payload }) =>
      pieces.push(Promise.resolve(typeof payload === 'string' ? payload : payload.toString('latin1'))),
    );
  });
  return { heard: async () => (await Promise.all(pieces)).join('\n') };
}

async function openOrder(partner: Person, id: string): Promise<void> {
  await go(partner.page, `/portal/o/${ORDER}/${id}`);
  await expect(saving(partner)).toHaveText(/Saved|Gespeichert/);
}
const note = (person: Person) => person.page.getByLabel('Note on this order');
const later = (day: string, days: number): string =>
  new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);

test('a supplier and the staff write one note and see each line’s answer at once; rivals and carriers get nothing of it', async ({
  as,
  partner,
}) => {
  const [nancy, exotic, tokyo, speedy] = [await as('nancy'), await partner('exotic'), await partner('tokyo'), await partner('speedy')];
  const [tapped, tapped2] = [wiretap(tokyo.page), wiretap(speedy.page)];
  const order = await find(exotic, ORDER, 'number', '11070-1');
  const required = order.fields.requiredDate as string;
  // The others look at what is theirs, live, all the while.
  await go(tokyo.page, '/portal/list/orders');
  await go(speedy.page, '/portal');

  await openRecord(nancy, ORDER, order.id);
  await openOrder(exotic, order.id);
  const [hers, theirs] = [nancy.page.getByLabel('Note with the supplier'), note(exotic)];

  // Both type in the note at the same time: nothing is lost, and both see all of it.
  await hers.fill('The dock closes at four. ');
  await expect(theirs).toHaveValue('The dock closes at four. ');
  await theirs.click();
  await exotic.page.keyboard.press('Control+End');
  await hers.click();
  await nancy.page.keyboard.press('Control+Home');
  await expect(exotic.page.locator('.note [data-by]')).toBeAttached();
  await expect(nancy.page.locator('[data-field=supplierNote] [data-by]')).toBeAttached();
  await Promise.all([
    nancy.page.keyboard.type('Zweitausend Grüße. ', { delay: 15 }),
    exotic.page.keyboard.type('Quokkatruck comes on Thursday.', { delay: 15 }),
  ]);
  const both = 'Zweitausend Grüße. The dock closes at four. Quokkatruck comes on Thursday.';
  await expect(hers).toHaveValue(both);
  await expect(theirs).toHaveValue(both);
  await expect(saving(nancy)).toHaveText('Saved');
  await expect(saving(exotic)).toHaveText('Saved');
  await expect.poll(async () => (await nancy.api<Rec>('GET', `/records/${ORDER}/${order.id}`)).fields.supplierNote).toBe(both);

  // The supplier confirms a line for later; nancy sees it without a reload.
  const chai = exotic.page.locator('[data-line=Chai]');
  await chai.getByLabel('You confirm, Chai').fill('30');
  await chai.getByLabel('Ready on, Chai').fill(later(required, 2));
  await expect(chai.getByText('2 days late')).toBeVisible();
  await chai.getByLabel('Why, Chai').fill('The press is being repaired');
  await chai.getByRole('button', { name: /^Chai: propose 30 for/ }).click();
  await expect(chai.getByText(/^Proposed: 30 for .* Northwind Traders decides\./)).toBeVisible();
  const seen = nancy.page.locator('[data-line=Chai]');
  await expect(seen).toContainText('2 days late');
  await expect(seen).toContainText('Proposal');
  await expect(seen).toContainText('The press is being repaired');
  await expect(nancy.page.locator('[data-field=status]')).toContainText('Changed');
  await expect(nancy.page.locator('[data-field=lateLines]')).toContainText('1 late');

  // What the supplier must not know is nowhere on its pages or in its answers.
  const own = JSON.stringify(await exotic.api('GET', `/records/${ORDER}/${order.id}`));
  for (const secret of ['margin', 'internalNote', 'createdBy', 'owner']) expect(own).not.toContain(secret);

  // Nancy accepts, and the supplier sees that at once.
  await seen.getByRole('button', { name: 'Accept the proposal for Chai' }).click();
  await expect(chai.getByText(/^Accepted by Northwind Traders: 30 for/)).toBeVisible();
  await exotic.page.getByRole('button', { name: /^Chang: confirm 20 for/ }).click();
  await expect(exotic.page.getByText('Everything is confirmed.', { exact: false })).toBeVisible();

  // Rivals and carriers: not by address, not in lists, not over the wire.
  for (const [outsider, object, id] of [
    [tokyo, ORDER, order.id],
    [speedy, ORDER, order.id],
  ] as const) {
    const answer = await outsider.request.get(`/api/v1/records/${object}/${id}`);
    expect(answer.status()).toBe(404);
    await outsider.page.goto(`/portal/o/${object}/${id}`);
    await expect(outsider.page.getByText('Nothing is here')).toBeVisible();
    await outsider.page.goto(`/o/${object}/${id}`);
    await expect(outsider.page).toHaveURL(/\/portal$/);
  }
  for (const tap of [tapped, tapped2]) {
    const heard = await tap.heard();
    expect(heard.length).toBeGreaterThan(1000);
    for (const secret of ['11070-1', 'Quokkatruck', 'Zweitausend', 'The press is being repaired']) expect(heard).not.toContain(secret);
  }
});

test('staff counter a proposal; the supplier answers the new terms, and rejects with a reason', async ({ as, partner }) => {
  const [nancy, exotic] = [await as('nancy'), await partner('exotic')];
  const order = await find(exotic, ORDER, 'number', '11077-1');
  const required = order.fields.requiredDate as string;
  const lines = await list(nancy, LINE, { field: 'purchaseOrder', op: 'eq', value: order.id }, '&sort=item');
  const [first, second] = lines.map((line) => line.fields.item as string);
  await openRecord(nancy, ORDER, order.id);
  await openOrder(exotic, order.id);

  const line = exotic.page.locator(`[data-line="${first}"]`);
  await line.getByLabel(`Ready on, ${first}`).fill(later(required, 5));
  await line.getByRole('button', { name: new RegExp(`^${first}: propose`) }).click();
  const seen = nancy.page.locator(`[data-line="${first}"]`);
  await seen.getByRole('button', { name: `Counter the proposal for ${first}` }).click();
  await seen.getByLabel('Required by').fill(later(required, 3));
  await seen.getByLabel('Your answer to the supplier').fill('Three days is the most we can give');
  await seen.getByRole('button', { name: 'Send to the supplier' }).click();
  await expect(line.getByText('Northwind Traders: Three days is the most we can give')).toBeVisible();
  await line.getByRole('button', { name: new RegExp(`^${first}: confirm`) }).click();
  await expect(line.getByText(/^Confirmed:/)).toBeVisible();
  await expect(seen).toContainText('Confirmed');

  // A rejection needs a reason; without one it says so in place.
  const other = exotic.page.locator(`[data-line="${second}"]`);
  await other.getByRole('button', { name: `Reject ${second}` }).click();
  await other.getByRole('button', { name: 'Reject the line' }).click();
  await expect(other.getByRole('alert')).toContainText('Say why');
  await other.getByLabel(`Why, ${second}`).fill('Sold out');
  await exotic.page.keyboard.press('Enter');
  await expect(other.getByText('Rejected')).toBeVisible();
  await expect(nancy.page.locator(`[data-line="${second}"]`)).toContainText('Sold out');

  // What waits for nancy is on My work.
  await openOrder(exotic, (await find(exotic, ORDER, 'number', '11075-1')).id);
  const third = exotic.page.locator('tbody[data-line]').first();
  const item = (await third.getAttribute('data-line')) ?? '';
  await third.getByLabel(`You confirm, ${item}`).fill('1');
  await exotic.page.keyboard.press('Enter');
  await expect(third.getByText(/^Proposed: 1/)).toBeVisible();
  const owner = (await nancy.api<Rec>('GET', `/records/${ORDER}/${(await find(nancy, ORDER, 'number', '11075-1')).id}`)).fields.owner;
  const { data: users } = await nancy.api<{ data: { id: string; email: string }[] }>('GET', '/users');
  const boss = await as((users.find((user) => user.id === owner)?.email ?? '').split('@')[0] ?? '');
  await go(boss.page, '/');
  await expect(boss.page.getByRole('heading', { name: /Suppliers’ proposals to decide/ })).toBeVisible();
  await boss.page.getByRole('button', { name: `Accept the proposal for ${item}` }).click();
  await expect(third.getByText(/^Accepted by/)).toBeVisible();
});

test('staff move a day that is in no document: it is saved at once, seen by both sides, and put back when it is refused', async ({
  as,
  partner,
}) => {
  const [andrew, tokyo] = [await as('andrew'), await partner('tokyo')];
  const [order] = await list(tokyo, ORDER, { field: 'status', op: 'eq', value: 'open' }, '&limit=1');
  if (!order) throw new Error('tokyo has no open purchase order');
  await openRecord(andrew, ORDER, order.id);
  await openOrder(tokyo, order.id);
  const day = later(order.fields.requiredDate as string, 14);
  const field = andrew.page.locator('[data-field=requiredDate]').getByLabel('Required by');
  await field.fill(day);
  await field.press('Enter');
  await expect(saving(andrew)).toHaveText('Saved');
  const long = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', weekday: 'long', day: 'numeric', month: 'long' });
  await expect(tokyo.page.getByRole('heading', { level: 1 }).locator('..')).toContainText(long.format(new Date(day)).split(',')[0] ?? '');
  await expect.poll(async () => (await tokyo.api<Rec>('GET', `/records/${ORDER}/${order.id}`)).fields.requiredDate).toBe(day);

  // All lines in one go, seen by the other side.
  const all = tokyo.page.getByRole('button', { name: /^Confirm all \d+ open lines$/ });
  if (await all.isVisible()) await all.click();
  else await tokyo.page.getByRole('button', { name: /: confirm \d+ for/ }).click();
  await expect(tokyo.page.getByText('Everything is confirmed.', { exact: false })).toBeVisible();
  await expect(andrew.page.getByText('Every line is answered.')).toBeVisible();
  await tokyo.page.getByRole('button', { name: 'Mark as shipped' }).click();
  await expect(andrew.page.locator('[data-field=status]')).toContainText('Shipped');

  // A refused value is put back where it stood, with the reason beside it.
  const [line] = await list(andrew, LINE, { field: 'purchaseOrder', op: 'eq', value: order.id }, '&limit=1');
  if (!line) throw new Error('the order has no line');
  await go(andrew.page, `/o/${LINE}/${line.id}`);
  const confirmed = andrew.page.locator('[data-field=confirmedQuantity]').getByLabel('Quantity confirmed');
  const before = await confirmed.inputValue();
  await confirmed.fill(String(Number(before) + 1));
  await confirmed.press('Enter');
  await expect(andrew.page.locator('[data-field=confirmedQuantity]').getByRole('alert')).toBeVisible();
  await expect(confirmed).toHaveValue(before);
});

test('a carrier reports milestones and an exception, and the estimate moves on the shipment and the order', async ({ as, partner }) => {
  const [nancy, speedy] = [await as('nancy'), await partner('speedy')];
  const [shipment] = await list(speedy, SHIPMENT, { field: 'status', op: 'eq', value: 'planned' }, '&limit=1');
  if (!shipment) throw new Error('speedy has no planned shipment');
  const order = await find(nancy, 'sales.order', 'number', shipment.fields.orderNumber as string);
  await go(nancy.page, `/o/sales.order/${order.id}`);
  await go(speedy.page, `/portal/o/${SHIPMENT}/${shipment.id}`);

  await speedy.page.getByLabel('Where').fill('Hamburg');
  await speedy.page.getByRole('button', { name: 'Report the pick-up' }).click();
  await expect(speedy.page.getByRole('list', { name: 'What has happened' })).toContainText('Picked up');
  await expect(nancy.page.getByRole('complementary')).toContainText('On its way');

  const estimate = later(shipment.fields.requiredDate as string, 4);
  await speedy.page.getByRole('button', { name: 'Report an exception' }).click();
  await speedy.page.getByRole('button', { name: 'Report the exception' }).click();
  await expect(speedy.page.getByRole('alert')).toHaveText('Say what went wrong.');
  await speedy.page.getByLabel('What went wrong').fill('Storm at sea');
  await speedy.page.getByLabel('New estimated arrival').fill(estimate);
  await speedy.page.getByRole('button', { name: 'Report the exception' }).click();
  await expect(speedy.page.getByText('Exception: Storm at sea')).toBeVisible();
  await expect(nancy.page.getByRole('complementary')).toContainText('4 days late');
  await expect(nancy.page.getByRole('complementary')).toContainText('Storm at sea');
  await expect(nancy.page.locator('[data-field=logistics__shipmentStatus]')).toContainText('Exception');
  await expect
    .poll(async () => (await nancy.api<Rec>('GET', `/records/sales.order/${order.id}`)).fields.logistics__estimatedArrival)
    .toBe(estimate);
  await openRecord(nancy, SHIPMENT, shipment.id);
  await expect(nancy.page.getByRole('list', { name: 'What has happened' })).toContainText('Exception');
  await expect(nancy.page.getByText('4 days late').first()).toBeVisible();

  // A link shows the shipment's state to whoever waits for it, until it is ended.
  await nancy.page.getByLabel('Who it is for').fill('Warehouse');
  await nancy.page.getByRole('button', { name: 'Make a link' }).click();
  const link = new URL(await nancy.page.getByLabel('Link', { exact: true }).inputValue()).pathname;
  const context = await nancy.context.browser()!.newContext({ baseURL: new URL(nancy.page.url()).origin });
  const guest = await context.newPage();
  await guest.goto(link);
  await expect(guest.getByRole('heading', { name: `Shipment ${shipment.fields.number as string}` })).toBeVisible();
  await expect(guest.getByText('Held up')).toBeVisible();
  await expect(guest.getByText('Storm at sea')).toHaveCount(0);
  await nancy.page.getByRole('button', { name: 'End the link for Warehouse' }).click();
  await expect(guest).toHaveURL(/\/portal\/sign-in\?ended/, { timeout: 3000 });
  await context.close();
});

test('a partner’s people are invited, see their own, and are gone within a second', async ({ as, partner, browser, kith }) => {
  const [andrew, exotic] = [await as('andrew'), await partner('exotic')];
  const company = await find(andrew, 'contacts.company', 'name', 'Exotic Liquids');
  await openRecord(andrew, 'contacts.company', company.id);
  await andrew.page.getByRole('button', { name: 'Invite', exact: true }).click();
  const dialog = andrew.page.getByRole('dialog', { name: 'Invite somebody of Exotic Liquids' });
  await dialog.getByLabel('E-mail').fill('mia@partners.example');
  await dialog.getByLabel('Name').fill('Mia Tide');
  await dialog.getByRole('button', { name: 'Send the invitation' }).click();
  const link = new URL(await dialog.getByLabel('Invitation link').inputValue()).pathname;
  await andrew.page.keyboard.press('Escape');

  const context = await browser.newContext({ baseURL: kith.url });
  const page = await context.newPage();
  await go(page, link);
  await expect(page.getByRole('heading', { name: 'Work with Northwind Traders as Exotic Liquids' })).toBeVisible();
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Join' }).click();
  await expect(page).toHaveURL(/\/portal$/);
  await expect(page.getByRole('banner')).toContainText('Exotic Liquids');
  // She is no administrator of her company.
  await expect(page.getByRole('link', { name: 'People', exact: true })).toHaveCount(0);

  // The administrator of the company sees her and withdraws her access; her open page goes at once.
  await page.locator('html[data-alive]').waitFor();
  await go(exotic.page, '/portal/page/portals.people');
  await expect(exotic.page.getByText('mia@partners.example')).toBeVisible();
  await exotic.page.getByRole('button', { name: 'Change Mia Tide' }).click();
  const before = Date.now();
  await exotic.page.getByRole('menuitem', { name: 'Withdraw access' }).click();
  await expect(page).toHaveURL(/\/portal\/sign-in\?ended/, { timeout: 3000 });
  expect(Date.now() - before).toBeLessThan(2500);
  await expect(page.getByText('Your access has ended.', { exact: false })).toBeVisible();
  await page.getByLabel('E-mail').fill('mia@partners.example');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  await context.close();

  // An invitation that is not accepted can be taken back.
  await exotic.page.getByLabel('E-mail').fill('tom@partners.example');
  await exotic.page.getByLabel('Name', { exact: true }).fill('Tom');
  await exotic.page.getByRole('button', { name: 'Send the invitation' }).click();
  await exotic.page.getByRole('button', { name: 'Withdraw the invitation of tom@partners.example' }).click();
  await expect(exotic.page.getByText('The invitation of tom@partners.example is withdrawn.')).toBeVisible();
});

test('a manager sees the portal with a partner’s eyes and can change nothing there', async ({ as }) => {
  const andrew = await as('andrew');
  const company = await find(andrew, 'contacts.company', 'name', 'Exotic Liquids');
  await go(andrew.page, '/portal');
  await expect(andrew.page).not.toHaveURL(/portal/);
  await openRecord(andrew, 'contacts.company', company.id);
  await andrew.page.getByRole('button', { name: 'See it as Exotic Liquids' }).click();
  await expect(andrew.page).toHaveURL(/\/portal$/);
  await expect(andrew.page.getByText('You see what Exotic Liquids sees.', { exact: false })).toBeVisible();
  await andrew.page.getByRole('navigation', { name: 'Navigation' }).getByRole('link', { name: 'All purchase orders' }).click();
  await andrew.page.getByRole('link', { name: '11072-1' }).first().click();
  await expect(andrew.page.getByRole('heading', { name: 'Purchase order 11072-1' })).toBeVisible();
  await expect(andrew.page.getByRole('button', { name: /confirm|propose|reject/i })).toHaveCount(0);
  await expect(andrew.page.getByLabel('Note on this order')).not.toBeEditable();
  await andrew.page.getByRole('button', { name: 'Back to your own view' }).click();
  await expect(andrew.page).toHaveURL(new RegExp(`/o/contacts\\.company/${company.id}$`));
  await go(andrew.page, '/portal');
  await expect(andrew.page).not.toHaveURL(/portal/);
});

test('an administrator narrows what members may do, and they may not from then on', async ({ as }) => {
  const [admin, nancy] = [await as('admin'), await as('nancy')];
  await go(nancy.page, '/settings/permissions');
  await expect(nancy.page.getByText('You may not see this')).toBeVisible();
  const company = await find(nancy, 'contacts.company', 'name', 'Exotic Liquids');
  await openRecord(nancy, 'contacts.company', company.id);
  await expect(nancy.page.getByRole('button', { name: 'Invite', exact: true })).toBeVisible();
  // To look with a partner's eyes takes a manager.
  await expect(nancy.page.getByRole('button', { name: /See it as/ })).toHaveCount(0);

  await go(admin.page, '/settings/permissions');
  const box = admin.page.getByRole('checkbox', { name: 'Member may Add: Deals' });
  await expect(box).toBeChecked();
  await box.click();
  await expect(box).not.toBeChecked();
  await go(nancy.page, '/o/sales.deal');
  await expect(nancy.page.getByRole('button', { name: 'New deal' })).toHaveCount(0);
  const refused = await nancy.request.post('/api/v1/records/sales.deal', {
    headers: { origin: new URL(nancy.page.url()).origin },
    data: { name: 'Not mine to make' },
  });
  expect(refused.status()).toBe(403);
  await box.click();
  await expect(box).toBeChecked();
  await nancy.page.reload();
  await expect(nancy.page.getByRole('button', { name: 'New deal' }).first()).toBeVisible();
});

test('partners come in by their own door, find their own, and are spoken to in German', async ({ browser, kith }) => {
  const context = await browser.newContext({ baseURL: kith.url, locale: 'de-DE' });
  const page = await context.newPage();
  await go(page, '/portal');
  await expect(page).toHaveURL(/\/portal\/sign-in$/);
  await expect(page.getByRole('heading', { name: 'Anmelden im Partnerportal' })).toBeVisible();
  await page.getByLabel('E-Mail').fill('tokyo@partners.example');
  await page.getByLabel('Passwort').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/portal$/);
  await page.locator('html[data-alive]').waitFor();
  await expect(page.getByRole('heading', { name: /Braucht Ihre Antwort/ })).toBeVisible();
  await expect(page.locator('html')).toHaveAttribute('lang', 'de');
  await page.getByRole('navigation', { name: 'Navigation' }).getByRole('link', { name: 'Alle Bestellungen' }).click();
  await expect(page.getByRole('row').nth(3)).toBeVisible();
  // Search narrows the list; what is not theirs is not found.
  await page.getByRole('searchbox').fill('11070-1');
  await expect(page.getByText('Keine', { exact: false }).first()).toBeVisible();
  // English is one choice away, and is kept.
  await page.getByLabel('Sprache').selectOption('en');
  await expect(page.locator('html')).toHaveAttribute('lang', 'en');
  await page.goto('/');
  await expect(page).toHaveURL(/\/portal$/);
  await expect(page.getByRole('heading', { name: /Needs your answer/ })).toBeVisible();
  await page.locator('html[data-alive]').waitFor();
  await page.getByRole('button', { name: /Mayumi|Tokyo|Yoshi/ }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await expect(page).toHaveURL(/\/portal\/sign-in/);
  await context.close();
});

test('on a phone nothing scrolls sideways, controls are large and named, and text can be read', async ({ partner }) => {
  const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
  const exotic = await partner('exotic', PHONE);
  const order = await find(exotic, ORDER, 'number', '11072-1');
  for (const path of [
    '/portal',
    '/portal/list/orders',
    `/portal/o/${ORDER}/${order.id}`,
    '/portal/page/portals.people',
    '/portal/profile',
  ]) {
    await go(exotic.page, path);
    await exotic.page.getByRole('heading').first().waitFor();
    await exotic.page.waitForTimeout(300);
    const found = await exotic.page.evaluate(inspect);
    expect(found, path).toEqual({ sideways: false, unnamed: [], small: [], faint: [] });
  }
  // The whole way with keys alone: to the line's answer, and sent.
  await go(exotic.page, `/portal/o/${ORDER}/${order.id}`);
  const line = exotic.page.locator('tbody[data-line]').first();
  const item = (await line.getAttribute('data-line')) ?? '';
  await line.getByLabel(`You confirm, ${item}`).focus();
  await exotic.page.keyboard.press('Enter');
  await expect(line.getByText(/^Confirmed:/)).toBeVisible();
});

test('undo is one stack over what partners see and what they do not; an order that passes to a rival leaves the screen', async ({
  as,
  partner,
}) => {
  const [andrew, exotic, tokyo] = [await as('andrew'), await partner('exotic'), await partner('tokyo')];
  const order = await find(exotic, ORDER, 'number', '11072-1');
  await openRecord(andrew, ORDER, order.id);
  await openOrder(exotic, order.id);
  const [shared, internal] = [andrew.page.getByLabel('Note with the supplier'), andrew.page.getByLabel('Internal note')];
  await shared.fill('Seen by both.');
  await internal.fill('Seen by us.');
  await andrew.page.waitForTimeout(700);
  await shared.press('End');
  await andrew.page.keyboard.type(' More.');
  await expect(note(exotic)).toHaveValue('Seen by both. More.');
  await expect(exotic.page.getByText('Seen by us')).toHaveCount(0);
  await andrew.page.keyboard.press('Control+z');
  await expect(shared).toHaveValue('Seen by both.');
  await expect(internal).toHaveValue('Seen by us.');
  await andrew.page.keyboard.press('Control+z');
  await expect(internal).toHaveValue('');
  await andrew.page.keyboard.press('Control+z');
  await expect(shared).toHaveValue('');
  await andrew.page.keyboard.press('Control+Shift+z');
  await andrew.page.keyboard.press('Control+Shift+z');
  await expect(shared).toHaveValue('Seen by both.');
  await expect(internal).toHaveValue('Seen by us.');
  await expect(saving(andrew)).toHaveText('Saved');

  const rival = await find(andrew, 'contacts.company', 'name', 'Tokyo Traders');
  await andrew.api('PATCH', `/records/${ORDER}/${order.id}`, { supplier: rival.id });
  await expect(exotic.page.getByText('Nothing is here')).toBeVisible();
  await expect(exotic.page.getByText('Seen by both.')).toHaveCount(0);
  // The newcomer finds the order, and nothing that was written with the one before.
  await openOrder(tokyo, order.id);
  await expect(note(tokyo)).toHaveValue('');
  await expect(andrew.page.getByText('Tokyo Traders').first()).toBeVisible();
});

/** Runs in the page: width, names of controls, sizes of touch targets, contrast of text. */
function inspect(): { sideways: boolean; unnamed: string[]; small: string[]; faint: string[] } {
  const visible = (element: Element): boolean => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && getComputedStyle(element).visibility !== 'hidden';
  };
  const tell = (element: Element): string =>
    `${element.tagName} ${element.className.toString()} ${element.textContent?.trim().slice(0, 30) ?? ''}`;
  const controls = [...document.querySelectorAll('a[href], button, input, select, textarea')].filter(visible);
  const named = (element: Element): boolean =>
    Boolean(
      element.getAttribute('aria-label') ??
      (element.textContent?.trim() || element.getAttribute('title') || (element as HTMLInputElement).labels?.[0]?.textContent?.trim()),
    );
  const luminance = (color: number[]): number => {
    const [r = 0, g = 0, b = 0] = color.map((part) => {
      const unit = part / 255;
      return unit <= 0.04045 ? unit / 12.92 : ((unit + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })!;
  const rgba = (color: string): number[] => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const ground = (element: Element | null): number[] => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if ((color[3] ?? 0) > 250) return color;
    }
    return [255, 255, 255, 255];
  };
  const faint = [...document.querySelectorAll('main *, header *, nav *')]
    .filter((element) => visible(element) && [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim()))
    .filter((element) => !element.closest('.hidden, [aria-hidden=true], option') && !(element as HTMLButtonElement).disabled)
    .filter((element) => {
      const color = rgba(getComputedStyle(element).color);
      if ((color[3] ?? 0) < 250) return false;
      const [a, b] = [luminance(color.slice(0, 3)), luminance(ground(element).slice(0, 3))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
    })
    .map(tell);
  return {
    sideways:
      document.documentElement.scrollWidth > innerWidth ||
      [...document.querySelectorAll('main')].some((one) => one.scrollWidth > one.clientWidth),
    unnamed: controls.filter((element) => !named(element)).map(tell),
    small: controls
      .filter((element) => element.matches('main button, main .button, nav.bottom a, main select'))
      .filter((element) => element.getBoundingClientRect().height < 36)
      .map(tell),
    faint,
  };
}

test('a partner’s start page says what waits and what is late; staff see late and at-risk lines at a glance', async ({ as, partner }) => {
  const [nancy, tokyo] = [await as('nancy'), await partner('tokyo')];
  const { principal } = await tokyo.api<{ principal: { partner: { id: string } } }>('GET', '/session');
  const today = new Date().toISOString().slice(0, 10);
  const order = await nancy.api<Rec>('POST', `/records/${ORDER}`, { supplier: principal.partner.id, requiredDate: later(today, 3) });
  const line = await nancy.api<Rec>('POST', `/records/${LINE}`, { purchaseOrder: order.id, item: 'Gyokuro', orderedQuantity: 5 });
  const number = order.fields.number as string;

  const row = nancy.page.getByRole('row').filter({ hasText: 'Gyokuro' });
  await go(nancy.page, `/o/${LINE}?view=atRisk`);
  await expect(row).toContainText('At risk');

  const section = (name: RegExp) => tokyo.page.locator('section').filter({ has: tokyo.page.getByRole('heading', { name }) });
  await go(tokyo.page, '/portal');
  await expect(section(/^Needs your answer/)).toContainText(number);
  await expect(section(/^Late/)).not.toContainText('Gyokuro');

  // Answered for later: it moves from one heading to the other under the partner's eyes, and staff see how late.
  await tokyo.api<Rec>('PATCH', `/records/${LINE}/${line.id}`, { confirmedDate: later(today, 8) });
  await expect(section(/^Late/)).toContainText('Gyokuro');
  await expect(section(/^Needs your answer/)).not.toContainText(number);
  await go(nancy.page, `/o/${LINE}?view=late`);
  await expect(row).toContainText('5 days late');
});

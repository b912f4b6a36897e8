/** A page that nobody changes asks for nothing: what follows changes must not follow itself. */
import type { Page } from '@playwright/test';
import { expect, go, signIn, test, type Person, type Rec } from './kith.ts';

const SETTLED_MS = 2_000;
const WATCHED_MS = 1_500;

/** What a page asks the server for, once it has settled. */
async function asked(page: Page, path: string): Promise<string[]> {
  await go(page, path);
  await page.waitForTimeout(SETTLED_MS);
  const requests: string[] = [];
  const note = (request: { url: () => string }): void => void requests.push(request.url());
  page.on('request', note);
  await page.waitForTimeout(WATCHED_MS);
  page.off('request', note);
  return requests;
}
const first = async (person: Person, object: string): Promise<Rec> =>
  (await person.api<{ data: Rec[] }>('GET', `/records/${object}?limit=1&sort=-updatedAt`)).data[0]!;

test('lists, records and portals are quiet when nothing happens', async ({ browser, kith, as }) => {
  const nancy = await as('nancy');
  const order = await first(nancy, 'suppliers.purchaseOrder');
  for (const path of [
    '/',
    '/o/suppliers.purchaseOrder',
    `/o/suppliers.purchaseOrder/${order.id}`,
    `/o/sales.order/${String(order.fields.order)}`,
  ])
    expect([path, await asked(nancy.page, path)]).toEqual([path, []]);
  for (const [name, object] of [
    ['exotic', 'suppliers.purchaseOrder'],
    ['speedy', 'logistics.shipment'],
  ] as const) {
    const partner = await signIn(browser, kith, `${name}@partners.example`);
    const { id } = await first(partner, object);
    for (const path of ['/portal', `/portal/o/${object}/${id}`]) expect([path, await asked(partner.page, path)]).toEqual([path, []]);
    await partner.context.close();
  }
});

/**
 * Takes the pictures of docs/screens from the product as it is:
 * `node apps/web/e2e/screens.ts`. Starts Kiths of its own, with the demo and without.
 */
import fs from 'node:fs';
import path from 'node:path';
import { chromium, type Browser, type Page } from '@playwright/test';
import { go, Kith, signIn, type Person, type Rec } from './kith.ts';

const folder = path.resolve(import.meta.dirname, '../../../docs/screens');
const WIDTHS = [1440, 390] as const;
const THEMES = ['light', 'dark'] as const;

async function each(
  browser: Browser,
  kith: Kith,
  take: (person: Person, shoot: (name: string) => Promise<void>, width: number) => Promise<void>,
): Promise<void> {
  for (const width of WIDTHS) {
    for (const theme of THEMES) {
      const options = { viewport: { width, height: width === 390 ? 844 : 900 }, colorScheme: theme, reducedMotion: 'reduce' as const };
      const person = await signIn(browser, kith, 'nancy@northwind.example', options);
      await take(person, (name) => shoot(person.page, `${name}-${width}-${theme}`), width);
      await person.context.close();
    }
  }
}

async function shoot(page: Page, name: string): Promise<void> {
  // Pictures and fonts have come, and what is fetched after the page is there too.
  await page.waitForLoadState('networkidle');
  await page.waitForTimeout(400);
  await page.screenshot({ path: path.join(folder, `${name}.png`) });
}

fs.mkdirSync(folder, { recursive: true });
const installed = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((file) => fs.existsSync(file));
const browser = await chromium.launch({
  ...(installed ? { executablePath: installed } : {}),
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
const demo = await Kith.start('northwind');
const andrew = await signIn(browser, demo, 'andrew@northwind.example');
const { data } = await andrew.api<{ data: Rec[] }>('GET', '/records/contacts.company?search=Ernst%20Handel');
const company = data[0]!;
await andrew.api('PATCH', `/records/contacts.company/${company.id}`, {
  summary:
    'Buys for eleven shops in Styria. Price matters less than full pallets on Tuesdays; asks for English labels on everything that goes to Slovenia.',
  notes: 'Roland wants the **Côte de Blaye** allocation before Christmas.\n\n* hold 40 cases\n* until Thursday',
});
await go(andrew.page, `/o/contacts.company/${company.id}`);
await andrew.page.getByLabel('City').first().click();
await each(browser, demo, async (nancy, take, width) => {
  await go(nancy.page, '/o/contacts.company?view=customers');
  await take('list');
  await go(nancy.page, '/o/sales.deal');
  await take('board');
  await go(nancy.page, `/o/contacts.company/${company.id}`);
  await nancy.page.getByRole('status', { name: 'State of saving' }).filter({ hasText: 'Saved' }).waitFor();
  await take('record');
  if (width === 1440) {
    await nancy.page.keyboard.press('Control+k');
    await nancy.page.keyboard.type('cha');
  } else {
    await nancy.page.getByRole('button', { name: 'Search' }).first().click();
    await nancy.page.keyboard.type('cha');
  }
  await nancy.page.waitForTimeout(600);
  await take('palette');
});
await demo.stop();

const empty = await Kith.start('none');
for (const width of WIDTHS) {
  for (const theme of THEMES) {
    const context = await browser.newContext({
      baseURL: empty.url,
      viewport: { width, height: width === 390 ? 844 : 900 },
      colorScheme: theme,
    });
    const page = await context.newPage();
    await go(page, '/setup');
    await shoot(page, `first-run-${width}-${theme}`);
    await context.close();
  }
}
await empty.stop();
await browser.close();
process.stdout.write(`${fs.readdirSync(folder).length} pictures in ${folder}\n`);

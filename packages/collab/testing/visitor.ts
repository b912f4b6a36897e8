/** Somebody in a real browser, and all that the screen ever said to them about what they type. */
import { existsSync } from 'node:fs';
import { chromium, type Browser, type Page } from '@playwright/test';

const executablePath = [process.env['KITH_CHROMIUM'], '/usr/bin/chromium', '/usr/bin/chromium-browser'].find(
  (file) => file !== undefined && existsSync(file),
);
export const openBrowser = (): Promise<Browser> =>
  chromium.launch({ ...(executablePath ? { executablePath } : {}), args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] });

export interface Visitor {
  page: Page;
  /** Every word that stood where the state of saving is told, and every alert. */
  words: () => Promise<string[]>;
  /** What went wrong in the page, and whether it was loaded more than once. */
  faults: () => Promise<string[]>;
}

/** A member of the staff at a record. */
export async function visit(
  browser: Browser,
  url: string,
  { email, password }: { email: string; password: string },
  record: string,
): Promise<Visitor> {
  const context = await browser.newContext({ baseURL: url, locale: 'en-US' });
  const answer = await context.request.post('/api/v1/session', { headers: { origin: url }, data: { email, password } });
  if (!answer.ok()) throw new Error(`${email} cannot sign in: ${answer.status()} ${await answer.text()}`);
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on('pageerror', (error) => wrong.push(error.message));
  await page.addInitScript(() => {
    const said = new Set<string>();
    Object.assign(window, { said });
    const look = (): void => {
      for (const one of document.querySelectorAll('[role=status][aria-label="State of saving"], [role=alert]'))
        if (one.textContent.trim() !== '') said.add(one.textContent.trim());
    };
    new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
  });
  await page.goto(`/o/${record}`);
  await page.getByRole('status', { name: 'State of saving' }).filter({ hasText: 'Saved' }).waitFor({ timeout: 30_000 });
  // From here on: what it says while it opens is another matter.
  await page.evaluate(() => {
    const { said } = window as unknown as { said: Set<string> };
    said.clear();
    Object.assign(window, { marked: true });
  });
  return {
    page,
    words: () => page.evaluate(() => [...(window as unknown as { said: Set<string> }).said]),
    faults: async () => [
      ...wrong,
      ...((await page.evaluate(() => (window as unknown as { marked?: boolean }).marked)) === true ? [] : ['the page was loaded again']),
    ],
  };
}

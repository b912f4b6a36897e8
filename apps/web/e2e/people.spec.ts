/** Coming in: the first run, invitations, roles, languages, and what is refused. */
import { expect, go, Kith, PASSWORD, signIn, test as shared } from './kith.ts';
import { test } from '@playwright/test';

test('the first run makes the organisation and its administrator, who invites a colleague', async ({ browser }) => {
  test.setTimeout(120_000);
  const kith = await Kith.start('none');
  try {
    const context = await browser.newContext({ baseURL: kith.url });
    const page = await context.newPage();
    await go(page, '/');
    await expect(page).toHaveURL(/\/setup$/);
    await page.getByRole('button', { name: 'Continue' }).click();
    await expect(page.getByRole('alert')).toHaveText('This is needed.');
    await page.getByLabel('Name of the organisation').fill('Handel & Söhne');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Ada Admin');
    await page.getByLabel('E-mail').fill('ada@example.com');
    await page.getByLabel('Password').fill('short');
    await page.getByRole('button', { name: 'Create' }).click();
    await expect(page.getByRole('alert')).toHaveText('Use at least 8 characters.');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Create' }).click();
    await expect(page.getByRole('heading', { name: 'Invite your colleagues' })).toBeVisible();
    await page.getByLabel('E-mail').fill('bea@example.com');
    await page.getByLabel('Name', { exact: true }).fill('Bea');
    await page.getByLabel('Role').selectOption('reader');
    await page.getByRole('button', { name: 'Invite' }).click();
    const link = new URL(await page.getByLabel('Invitation link').inputValue()).pathname;
    await page.getByRole('button', { name: 'Go to Kith' }).click();
    await expect(page.getByRole('heading', { level: 1, name: 'My work' })).toBeVisible();
    await go(page, '/o/contacts.company');
    await expect(page.getByText('No companies yet')).toBeVisible();
    await page.getByRole('button', { name: 'New company' }).last().click();
    await page.getByRole('dialog').getByRole('textbox', { name: 'Name', exact: true }).fill('First customer');
    await page.getByRole('button', { name: 'Create' }).click();
    await expect(page.getByRole('row').filter({ hasText: 'First customer' })).toBeVisible();

    // The colleague reads, and is offered nothing else.
    const theirs = await browser.newContext({ baseURL: kith.url });
    const bea = await theirs.newPage();
    await go(bea, link);
    await bea.getByLabel('Password').fill(PASSWORD);
    await bea.getByRole('button', { name: 'Join' }).click();
    await expect(bea.getByRole('heading', { level: 1, name: 'My work' })).toBeVisible();
    await go(bea, '/o/contacts.company');
    await expect(bea.getByRole('button', { name: 'New company' })).toHaveCount(0);
    await bea.getByRole('link', { name: 'First customer' }).click();
    await expect(bea.getByRole('status', { name: 'State of saving' })).toHaveText('Read only');
    await expect(bea.getByLabel('City', { exact: true })).not.toBeEditable();
    // A link is good once.
    await go(bea, link);
    await expect(bea.getByText('Nothing is here')).toBeVisible();
    await context.close();
    await theirs.close();
  } finally {
    await kith.stop();
  }
});

shared('a wrong password and an ended session say what to do', async ({ browser, kith }) => {
  const context = await browser.newContext({ baseURL: kith.url });
  const page = await context.newPage();
  await go(page, '/o/contacts.company');
  await expect(page).toHaveURL(/\/sign-in\?next=/);
  await page.getByLabel('E-mail').fill('nancy@northwind.example');
  await page.getByLabel('Password').fill('wrong');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('alert')).toHaveText('E-mail and password do not match. Check both.');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page).toHaveURL(/\/o\/contacts\.company$/);
  await page.locator('html[data-alive]').waitFor();

  await page.getByRole('row').nth(1).getByRole('gridcell').nth(3).click();
  await context.clearCookies();
  await page.keyboard.type('X');
  await page.keyboard.press('Enter');
  await expect(page.getByText('Your session has ended')).toBeVisible();
  // The way back leads to where one was.
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page).toHaveURL(/\/sign-in\?next=%2Fo%2Fcontacts\.company/);
  await context.close();
});

shared('what is not there says so, and German is spoken everywhere', async ({ browser, kith }) => {
  const laura = await signIn(browser, kith, 'laura@northwind.example');
  const { page } = laura;
  await go(page, '/o/nothing.here');
  await expect(page.getByText('Nothing is here')).toBeVisible();
  await go(page, '/settings/profile');
  await page.getByLabel('Language').selectOption('de');
  await expect(page.getByRole('heading', { level: 1, name: 'Profil' })).toBeVisible();
  await expect(page.getByRole('link', { name: 'Firmen' })).toBeVisible();
  await go(page, '/o/sales.order');
  await expect(page.getByText('830 Aufträge')).toBeVisible();
  await expect(page.locator('html')).toHaveAttribute('lang', 'de');
  await laura.api('PATCH', '/profile', { language: 'en' });
  await laura.context.close();
});

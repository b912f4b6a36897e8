/** Workflows on screen: built, tested, switched on and watched while they run. */
import { expect, find, go, test, type Person, type Rec } from './kith.ts';

/** Chooses from a searchable list that a button opens. */
async function pick({ page }: Person, query: string, option: string): Promise<void> {
  const list = page.locator('.popover:popover-open');
  await list.getByRole('combobox').fill(query);
  await list.getByRole('option', { name: option, exact: true }).click();
}

test('an administrator builds a workflow with a wait, tests it, switches it on and watches it run', async ({ as }) => {
  test.setTimeout(120_000);
  const admin = await as('admin');
  const { page } = admin;
  const alfreds = await find(admin, 'contacts.company', 'externalId', 'ALFKI');

  // A new one, from the list.
  await go(page, '/o/automation.workflow?new');
  const dialog = page.getByRole('dialog', { name: 'New workflow' });
  await dialog.getByLabel('Name').fill('Moved to Graz');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await expect(dialog).toBeHidden();
  const workflow = await find(admin, 'automation.workflow', 'name', 'Moved to Graz');
  await go(page, `/o/automation.workflow/${workflow.id}`);

  // What sets it off.
  await expect(page.getByText('What sets it off?')).toBeVisible();
  await page.getByRole('button', { name: /A record is changed/ }).click();
  const trigger = page.getByRole('group', { name: 'When it runs' });
  await expect(trigger.getByText('Choose an object.').or(trigger.getByText('There is no object'))).toBeVisible();
  await trigger.getByLabel('Record', { exact: true }).selectOption({ label: 'Company' });
  await trigger.getByLabel('Field', { exact: true }).selectOption({ label: 'City' });
  await trigger.getByRole('textbox', { name: 'To' }).fill('Graz');

  // First step: a task for whoever looks after the company.
  const add = page.getByRole('button', { name: 'Add a step', exact: true });
  await add.click();
  await page.getByRole('menuitem', { name: 'Make a task' }).click();
  await expect(page.getByText('Say what there is to do.')).toBeVisible();
  const task = page.getByRole('group', { name: /^Make a task/ });
  await task.getByRole('textbox', { name: 'What is to be done' }).fill('Visit ');
  await task.getByRole('button', { name: 'Insert a field: What is to be done' }).click();
  await pick(admin, 'Company › Name', 'Company › Name');
  await expect(task.getByRole('textbox', { name: 'What is to be done' })).toHaveValue('Visit {{record.name}}');
  await task.getByLabel('Where Whose task comes from').selectOption('path');
  await task.getByRole('button', { name: /^Whose task/ }).click();
  await pick(admin, 'Owner', 'Company › Owner');

  // Second: it waits. Third: the company is changed.
  await add.click();
  await page.getByRole('menuitem', { name: 'Wait', exact: true }).click();
  const wait = page.getByRole('group', { name: /^Wait/ });
  await wait.getByLabel('Unit').selectOption({ label: 'Hours' });
  await add.click();
  await page.getByRole('menuitem', { name: 'Change the record' }).click();
  const change = page.getByRole('group', { name: /^Change the record/ });
  await change.getByRole('button', { name: 'Set a field' }).click();
  await pick(admin, 'Industry', 'Industry');
  await change.getByRole('textbox', { name: 'Industry' }).fill('Visited');
  await expect(page.getByLabel('Something is missing or wrong here')).toHaveCount(0);

  // Moved and moved back, removed and brought back, by keyboard too.
  const heads = page.getByRole('list', { name: 'What it does' }).getByRole('button', { expanded: true });
  await expect(heads).toHaveText([/Make a task: Visit ‹Name›/, /Wait: 1 hour/, /Change the record: Industry/]);
  await heads.nth(2).press('Alt+ArrowUp');
  await expect(heads).toHaveText([/Make a task/, /Change the record/, /Wait/]);
  await heads.nth(1).press('Alt+ArrowDown');
  await page.getByRole('button', { name: /^Remove: Wait/ }).click();
  await expect(heads).toHaveCount(2);
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(heads).toHaveText([/Make a task/, /Wait/, /Change the record/]);

  // Tested: shown step by step, and nothing of it stays.
  await expect(page.getByText('Not saved')).toBeVisible();
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await page.getByRole('button', { name: /^Company:/ }).click();
  await pick(admin, 'Alfreds', 'Alfreds Futterkiste');
  await page.getByRole('button', { name: 'Save and test' }).click();
  const trial = page.getByRole('list', { name: 'What would happen' }).getByRole('listitem');
  await expect(trial).toHaveCount(3);
  await expect(trial.nth(0)).toContainText('Visit Alfreds Futterkiste');
  await expect(trial.nth(1)).toContainText('Would wait');
  await expect(page.getByText('Not saved')).toBeHidden();
  const about = { field: 'about', op: 'eq', value: { object: 'contacts.company', id: alfreds.id } };
  const tasks = async (): Promise<Rec[]> =>
    (await admin.api<{ data: Rec[] }>('GET', `/records/contacts.task?filter=${encodeURIComponent(JSON.stringify(about))}`)).data.filter(
      ({ title }) => title.startsWith('Visit'),
    );
  expect(await tasks()).toEqual([]);
  expect((await find(admin, 'contacts.company', 'externalId', 'ALFKI')).fields.industry).not.toBe('Visited');

  // Switched on, it runs when a company moves to Graz.
  await page.getByRole('switch').click();
  await expect(page.getByRole('switch')).toBeChecked();
  await page.getByRole('tab', { name: 'Runs' }).click();
  await expect(page.getByText('No runs yet')).toBeVisible();
  await admin.api('PATCH', `/records/contacts.company/${alfreds.id}`, { city: 'Graz' });
  // Without a reload.
  const run = page.getByRole('list', { name: 'Runs' }).getByRole('link', { name: /Alfreds Futterkiste/ });
  await expect(run).toContainText('Waiting');
  expect((await tasks()).map(({ fields }) => fields.owner)).toEqual([alfreds.fields.owner]);
  await run.click();
  const steps = page.getByRole('list', { name: 'What it does' }).getByRole('listitem');
  await expect(steps).toHaveCount(2);
  await expect(steps.nth(0)).toContainText('Done');
  await expect(steps.nth(0)).toContainText('Visit Alfreds Futterkiste');
  await expect(steps.nth(1)).toContainText('Until');
  await page.getByRole('button', { name: 'Leave this step out' }).click();
  await expect(steps).toHaveCount(3);
  await expect(steps.nth(2)).toContainText('Done');
  await expect.poll(async () => (await find(admin, 'contacts.company', 'externalId', 'ALFKI')).fields.industry).toBe('Visited');

  // It stands on the company's timeline.
  await go(page, `/o/contacts.company/${alfreds.id}`);
  await expect(page.getByRole('link', { name: 'Moved to Graz' })).toBeVisible();
});

test('two people do not overwrite each other’s workflow unknowingly', async ({ as }) => {
  const [admin, andrew] = [await as('admin'), await as('andrew')];
  const definition = {
    trigger: { on: 'button', object: 'contacts.company', label: 'Greet' },
    steps: [{ id: 'a', kind: 'task', subject: 'Hello' }],
  };
  const { id } = await admin.api<Rec>('POST', '/records/automation.workflow', { name: 'Shared', definition: JSON.stringify(definition) });
  await go(admin.page, `/o/automation.workflow/${id}`);
  await go(andrew.page, `/o/automation.workflow/${id}`);
  for (const [{ page }, text] of [
    [admin, 'From the administrator'],
    [andrew, 'From Andrew'],
  ] as const) {
    await page.getByRole('button', { name: /^Make a task: Hello/ }).click();
    await page.getByRole('textbox', { name: 'What is to be done' }).fill(text);
  }
  await admin.page.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(admin.page.getByText('Not saved')).toBeHidden();
  await expect(andrew.page.getByRole('alert').filter({ hasText: 'Somebody else saved' })).toBeVisible();
  await andrew.page.getByRole('button', { name: 'Show theirs' }).click();
  await expect(andrew.page.getByRole('textbox', { name: 'What is to be done' })).toHaveValue('From the administrator');

  // A workflow with a button is in the menu of the records that it is for.
  await admin.page.getByRole('switch').click();
  await expect(admin.page.getByRole('switch')).toBeChecked();
  const company = await find(andrew, 'contacts.company', 'externalId', 'ANATR');
  await go(andrew.page, `/o/contacts.company/${company.id}`);
  await andrew.page.getByRole('button', { name: 'More', exact: true }).click();
  await andrew.page.getByRole('menuitem', { name: 'Greet' }).click();
  await expect(andrew.page.getByText('Started: Greet')).toBeVisible();
  await expect(andrew.page.getByText('From the administrator')).toBeVisible();
});

test('a workflow that comes with a plugin is read, switched and copied', async ({ as }) => {
  const admin = await as('admin');
  const { page } = admin;
  const late = await find(admin, 'automation.workflow', 'shipped', 'suppliers.late');
  await go(page, `/o/automation.workflow/${late.id}`);
  await expect(page.getByText('comes with a plugin')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Add a step' })).toHaveCount(0);
  await page.getByRole('switch').click();
  await expect(page.getByRole('switch')).not.toBeChecked();
  await page.getByRole('switch').click();
  await expect(page.getByRole('switch')).toBeChecked();
  await page.getByRole('button', { name: 'Copy', exact: true }).click();
  await expect(page.getByRole('heading', { name: `${late.title} (copy)`, level: 1 })).toBeVisible();
  await expect(page.getByRole('button', { name: 'Add a step' })).toBeVisible();
  await expect(page.getByRole('switch')).not.toBeChecked();
});

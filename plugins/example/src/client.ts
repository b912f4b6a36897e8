/** What the desk adds to the screens: every slot of the contract once. Components load when they are shown. */
import { defineClient } from '@kith/sdk';
import { example } from './plugin.ts';

// #region client
export const client = defineClient(example, {
  'record.panel': [
    {
      id: 'loans',
      title: 'panel.loans',
      object: 'contacts.company',
      insteadOf: 'example.loan.borrower',
      load: () => import('./ui/Loans.svelte'),
    },
  ],
  // #endregion
  'record.tab': [{ id: 'reminders', title: 'tab.reminders', object: 'example.equipment', load: () => import('./ui/Reminders.svelte') }],
  'record.action': [
    { id: 'lend', object: 'example.equipment', load: () => import('./ui/recordActions.ts') },
    { id: 'slip', object: 'example.loan', load: () => import('./ui/loanActions.ts') },
  ],
  'list.action': [{ id: 'check', object: 'example.equipment', load: () => import('./ui/listActions.ts') }],
  'list.create': [{ id: 'wish', object: 'example.wish', load: () => import('./ui/create.ts') }],
  'list.banner': [{ id: 'late', object: 'example.loan', load: () => import('./ui/LateBanner.svelte') }],
  'nav.page': [
    { id: 'desk', title: 'page.desk', icon: 'hand', load: () => import('./ui/Desk.svelte') },
    { id: 'waived', title: 'page.waived', icon: 'coins', permission: 'waive', load: () => import('./ui/Waived.svelte') },
  ],
  'portal.page': [{ id: 'rules', title: 'page.rules', icon: 'book-open', load: () => import('./ui/Rules.svelte') }],
  'portal.record': [{ id: 'wish', object: 'example.wish', load: () => import('./ui/PortalWish.svelte') }],
  'timeline.item': [{ id: 'bought', object: 'example.equipment', load: () => import('./ui/Bought.svelte') }],
  // #region channel
  'compose.channel': [
    {
      id: 'text',
      title: 'compose.text',
      icon: 'message-square-text',
      channel: 'text',
      object: 'example.loan',
      load: () => import('./ui/WriteText.svelte'),
    },
  ],
  // #endregion
  'field.value': [{ id: 'due', object: 'example.loan', field: 'due', load: () => import('./ui/Due.svelte') }],
  'home.widget': [{ id: 'late', title: 'widget.late', load: () => import('./ui/Work.svelte') }],
  'settings.section': [{ id: 'usage', title: 'section.usage', load: () => import('./ui/Usage.svelte') }],
  // #region client
});
// #endregion

/** The browser half of inbox: writing to one or many, what became of it, and templates tried out. */
import { defineClient } from '@kith/sdk';
import { inbox } from './plugin.ts';

export const client = defineClient(inbox, {
  'compose.channel': [{ id: 'mail', title: 'compose.mail', icon: 'mail', channel: 'email', load: () => import('./ui/WriteMail.svelte') }],
  'list.banner': [{ id: 'no-server', object: 'inbox.message', load: () => import('./ui/OutboxBanner.svelte') }],
  'list.create': [{ id: 'write', object: 'inbox.message', load: () => import('./ui/create.ts') }],
  'record.panel': [
    {
      id: 'mails',
      title: 'object.message.many',
      object: 'contacts.person',
      insteadOf: 'inbox.message.person',
      load: () => import('./ui/PersonMails.svelte'),
    },
  ],
  'record.tab': [
    { id: 'mail', title: 'object.message.one', object: 'inbox.message', first: true, load: () => import('./ui/Message.svelte') },
    { id: 'preview', title: 'tab.preview', object: 'inbox.template', first: true, load: () => import('./ui/TemplatePreview.svelte') },
  ],
  'timeline.item': [{ id: 'mail', object: 'inbox.message', load: () => import('./ui/MailItem.svelte') }],
  'field.value': [{ id: 'reason', object: 'inbox.message', field: 'reason', load: () => import('./ui/Reason.svelte') }],
});

/** Inbox: messages in and out over any channel, and the templates that they are written from. A channel is a plugin that sends them. */
import { consent } from '@kith/plugin-consent/plugin';
import { contacts } from '@kith/plugin-contacts/plugin';
import { anyRef, dateTime, definePlugin, everyone, longText, need, object, ref, role, select, text } from '@kith/sdk';
import de from '../locales/de.json' with { type: 'json' };
import en from '../locales/en.json' with { type: 'json' };

const EDITORS = role('admin', 'manager', 'member');

export const inbox = definePlugin({
  id: 'inbox',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'communicative',
  needs: [need(contacts, '^1.0.0'), need(consent, '^1.0.0')],
  locales: { en, de },
  objects: {
    message: object({
      icon: 'mail',
      title: ['subject'],
      search: ['subject', 'address'],
      unique: [['key']],
      fields: {
        // The record on whose timeline it stands as an activity; hidden, since the message itself does not.
        about: anyRef({ mode: 'restricted', hidden: true, indexed: true }),
        subject: text({ mode: 'restricted', max: 500 }),
        status: select({
          options: {
            queued: { color: 'blue' },
            waiting: { color: 'amber' },
            sent: { color: 'green' },
            kept: { color: 'amber' },
            held: { color: 'violet' },
            failed: { color: 'red' },
            unknown: { color: 'red' },
            received: { color: 'green' },
          },
          mode: 'derived',
          group: 'facts',
          indexed: true,
        }),
        reason: text({ mode: 'derived', max: 2000, group: 'facts' }),
        channel: select({ options: { email: { color: 'indigo' } }, mode: 'restricted', default: 'email', required: true, group: 'facts' }),
        direction: select({
          options: { in: { color: 'green' }, out: { color: 'blue' } },
          mode: 'restricted',
          default: 'out',
          required: true,
          group: 'facts',
        }),
        person: ref('contacts.person', { mode: 'derived', group: 'facts', listed: true, indexed: true }),
        recipient: anyRef({ mode: 'restricted', group: 'facts' }),
        // Whatever the channel reaches somebody by.
        address: text({ mode: 'restricted', group: 'facts', indexed: true, max: 254 }),
        purpose: text({ mode: 'restricted', max: 60, group: 'facts' }),
        template: text({ mode: 'restricted', group: 'facts' }),
        sentAt: dateTime({ mode: 'derived', group: 'facts', indexed: true }),
        messageId: text({ mode: 'derived', group: 'facts' }),
        batch: text({ mode: 'restricted', max: 60, group: 'facts', indexed: true }),
        body: longText({ mode: 'restricted', group: 'about' }),
        // Who wants the same thing sent once names it here.
        key: text({ mode: 'restricted', hidden: true }),
        unsubscribe: text({ mode: 'derived', hidden: true, indexed: true }),
      },
      access: { read: everyone, create: EDITORS, update: role(), delete: EDITORS },
      views: {
        all: {
          type: 'table',
          columns: ['subject', 'status', 'person', 'address', 'purpose', 'sentAt', 'createdBy', 'reason'],
          sort: ['-createdAt'],
        },
        outbox: {
          type: 'table',
          columns: ['subject', 'status', 'person', 'address', 'purpose', 'createdAt', 'createdBy'],
          filter: { field: 'status', op: 'in', value: ['kept', 'queued', 'waiting'] },
          sort: ['-createdAt'],
        },
        received: {
          type: 'table',
          columns: ['subject', 'person', 'address', 'channel', 'sentAt'],
          filter: { field: 'direction', op: 'eq', value: 'in' },
          sort: ['-sentAt'],
        },
        left: {
          type: 'table',
          columns: ['subject', 'status', 'person', 'address', 'purpose', 'reason', 'createdAt'],
          filter: { field: 'status', op: 'in', value: ['held', 'failed', 'unknown'] },
          sort: ['-createdAt'],
        },
      },
    }),
    template: object({
      icon: 'file-text',
      title: ['name'],
      search: ['name', 'subject'],
      fields: {
        name: text({ required: true, indexed: true }),
        purpose: ref('consent.purpose', { group: 'facts', indexed: true }),
        subject: text({ required: true, max: 500, group: 'about' }),
        body: longText({ group: 'about' }),
      },
      views: { all: { type: 'table', columns: ['name', 'subject', 'purpose', 'updatedAt'], sort: ['name'] } },
    }),
  },
  extend: {
    'contacts.activity': {
      options: { kind: { message: { color: 'teal' } } },
      fields: { message: ref('inbox.message', { mode: 'derived', indexed: true }) },
    },
  },
});

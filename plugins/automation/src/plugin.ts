/** Automation: workflows that people build and plugins ship, and every run of them, step by step. */
import { contacts } from '@kith/plugin-contacts/plugin';
import { anyRef, boolean, dateTime, definePlugin, everyone, longText, need, object, ref, role, select, text } from '@kith/sdk';
import de from '../locales/de.json' with { type: 'json' };
import en from '../locales/en.json' with { type: 'json' };

const BUILDERS = role('admin', 'manager');
/** No role of people: runs are made by what they are runs of. */
const SYSTEM = role();

export const automation = definePlugin({
  id: 'automation',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  needs: [need(contacts, '^1.0.0')],
  locales: { en, de },
  objects: {
    workflow: object({
      icon: 'workflow',
      title: ['name'],
      search: ['name'],
      unique: [['shipped']],
      fields: {
        name: text({ required: true, indexed: true }),
        enabled: boolean({ mode: 'restricted', default: false, group: 'facts', indexed: true }),
        // JSON of the sdk's `Workflow`.
        definition: longText({ mode: 'restricted', hidden: true }),
        shipped: text({ mode: 'arbitrated', group: 'facts' }),
        problem: text({ mode: 'derived', group: 'facts' }),
        lastRun: dateTime({ mode: 'derived', group: 'facts' }),
      },
      access: { read: everyone, create: BUILDERS, update: BUILDERS, delete: BUILDERS },
      views: {
        all: { type: 'table', columns: ['name', 'enabled', 'lastRun', 'problem', 'shipped', 'updatedAt'], sort: ['name'] },
      },
    }),
    run: object({
      icon: 'play',
      title: ['workflow'],
      fields: {
        workflow: ref('automation.workflow', { mode: 'derived', group: 'facts', listed: true, indexed: true }),
        about: anyRef({ mode: 'derived', group: 'facts', indexed: true }),
        status: select({
          options: {
            running: { color: 'blue' },
            waiting: { color: 'amber' },
            done: { color: 'green' },
            failed: { color: 'red' },
            cancelled: { color: 'grey' },
          },
          mode: 'derived',
          group: 'facts',
          indexed: true,
        }),
        trigger: text({ mode: 'derived', group: 'facts' }),
        startedAt: dateTime({ mode: 'derived', group: 'facts', indexed: true }),
        endedAt: dateTime({ mode: 'derived', group: 'facts' }),
        step: text({ mode: 'derived', group: 'facts' }),
        error: text({ mode: 'derived', max: 2000, group: 'facts' }),
      },
      access: { read: everyone, create: SYSTEM, update: SYSTEM, delete: BUILDERS },
      views: {
        all: { type: 'table', columns: ['workflow', 'about', 'status', 'trigger', 'startedAt', 'endedAt', 'error'], sort: ['-startedAt'] },
        failed: {
          type: 'table',
          columns: ['workflow', 'about', 'error', 'step', 'startedAt'],
          filter: { field: 'status', op: 'eq', value: 'failed' },
          sort: ['-startedAt'],
        },
        waiting: {
          type: 'table',
          columns: ['workflow', 'about', 'step', 'startedAt'],
          filter: { field: 'status', op: 'eq', value: 'waiting' },
          sort: ['-startedAt'],
        },
      },
    }),
  },
  extend: {
    'contacts.task': { fields: { workflow: ref('automation.workflow', { mode: 'derived', indexed: true }) } },
  },
});

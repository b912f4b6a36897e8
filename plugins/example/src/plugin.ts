/**
 * Example: a desk that lends equipment to companies. It uses every key of the
 * plugin contract once, and the handbook is cut from it: what stands between
 * `#region` and `#endregion` is printed there.
 */
import { contacts } from '@kith/plugin-contacts/plugin';
import { inbox } from '@kith/plugin-inbox/plugin';
import {
  action,
  address,
  anyRef,
  boolean,
  company,
  date,
  dateTime,
  definePlugin,
  email,
  longText,
  money,
  multiSelect,
  need,
  number,
  object,
  permission,
  phone,
  ref,
  refs,
  richText,
  role,
  secret,
  select,
  text,
  url,
  user,
} from '@kith/sdk';
import de from '../locales/de.json' with { type: 'json' };
import en from '../locales/en.json' with { type: 'json' };

// #region plugin
export const example = definePlugin({
  id: 'example',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'collaborative',
  needs: [need(contacts, '^1.0.0'), need(inbox, '^1.0.0')],
  locales: { en, de },
  // #endregion
  startsDisabled: true,
  // #region object
  objects: {
    equipment: object({
      icon: 'package',
      title: ['name'],
      search: ['name', 'serial'],
      unique: [['serial']],
      fields: {
        name: text({ required: true, indexed: true }),
        serial: text({ mode: 'restricted', group: 'facts', max: 40 }),
        kind: select({
          options: { tool: { color: 'blue' }, vehicle: { color: 'violet' }, other: { color: 'grey' } },
          default: 'other',
          group: 'facts',
          indexed: true,
        }),
        rate: money({ mode: 'restricted', group: 'facts', min: 0 }),
        manual: richText({ group: 'about' }),
        // #endregion
        /** How many loans are out, and whether it can be lent: an action decides, since two people may ask at once. */
        lent: boolean({ mode: 'arbitrated', default: false, group: 'facts', indexed: true }),
        loans: number({ mode: 'derived', integer: true, group: 'facts', tracked: true }),
        features: multiSelect({ options: { batteries: {}, licence: { color: 'amber' } }, group: 'facts' }),
        weight: number({ min: 0, max: 5_000, group: 'facts' }),
        /** Of the rate for a day, what is kept when it comes back broken. */
        deposit: number({ percent: true, min: 0, group: 'facts' }),
        bought: date({ group: 'facts' }),
        checkedAt: dateTime({ group: 'facts', default: 'now' }),
        place: address({ group: 'facts' }),
        keeper: user({ default: 'creator', group: 'facts' }),
        helpMail: email({ group: 'facts' }),
        helpPhone: phone({ group: 'facts' }),
        website: url({ group: 'facts' }),
        accessories: refs('example.equipment', { group: 'facts' }),
        boughtFor: anyRef({ group: 'facts' }),
        importedFrom: text({ hidden: true }),
        // #region views
      },
      views: {
        all: { type: 'table', columns: ['name', 'kind', 'serial', 'rate', 'lent', 'keeper'], sort: ['name'] },
      },
    }),
    // #endregion
    // #region lifecycle
    loan: object({
      icon: 'calendar-clock',
      title: ['number'],
      search: ['number', 'serial'],
      stages: 'status',
      access: { delete: role('admin', 'manager') },
      fields: {
        number: text({ sequence: { start: 1001, prefix: 'L-' }, required: true, indexed: true }),
        equipment: ref('example.equipment', { mode: 'restricted', required: true, group: 'facts', listed: true, indexed: true }),
        borrower: ref('contacts.company', { mode: 'restricted', required: true, group: 'facts', listed: true, indexed: true }),
        status: select({
          options: {
            reserved: { color: 'grey', outcome: 'open', probability: 0.5 },
            out: { color: 'blue', outcome: 'open', probability: 0.9 },
            back: { color: 'green', outcome: 'won', probability: 1 },
          },
          mode: 'arbitrated',
          default: 'reserved',
          required: true,
          group: 'facts',
          indexed: true,
        }),
        from: date({ mode: 'restricted', default: 'today', required: true, group: 'facts' }),
        due: date({ mode: 'restricted', required: true, group: 'facts', indexed: true }),
        // #endregion
        /** Where the equipment is known by its number, and what it cost when it was lent. */
        serial: text({ mode: 'derived', lookup: 'equipment.serial', group: 'facts' }),
        rate: money({ mode: 'restricted', snapshot: 'equipment.rate', group: 'facts' }),
        fee: money({ mode: 'derived', group: 'facts' }),
        waived: boolean({ mode: 'arbitrated', default: false, group: 'facts' }),
        /** The paper that goes with it: the id of a file. */
        slip: text({ mode: 'derived', hidden: true }),
        note: longText({ group: 'about' }),
        borrowerNote: longText({ group: 'about' }),
      },
      views: {
        open: {
          type: 'table',
          columns: ['number', 'equipment', 'borrower', 'status', 'due', 'fee'],
          filter: { field: 'status', op: 'ne', value: 'back' },
          sort: ['due'],
        },
        board: { type: 'board', columns: ['number', 'equipment', 'due'], groupBy: 'status', sum: 'fee' },
      },
      // #region actions
      actions: {
        handOut: action({ offered: ['button'] }),
        takeBack: action({ offered: ['button', 'bulk'], input: { fine: boolean({ default: true }), remark: text() } }),
        extend: action({ input: { due: date({ required: true }) } }),
        remind: action({ permission: role('admin', 'manager', 'member'), offered: ['bulk'] }),
        waive: action({ permission: permission('waive'), offered: ['bulk'], input: { why: text({ required: true }) } }),
      },
      // #endregion
    }),
    wish: object({
      icon: 'lightbulb',
      title: ['what'],
      nav: false,
      fields: {
        what: text({ required: true }),
        /** With which loan it should come; whose it is follows from that. */
        loan: ref('example.loan', { mode: 'restricted', required: true, listed: true, indexed: true }),
        borrower: ref('contacts.company', { mode: 'derived', lookup: 'loan.borrower', indexed: true }),
      },
    }),
  },
  // #region extend
  extend: {
    'contacts.company': {
      fields: { openLoans: number({ mode: 'derived', integer: true, group: 'lending', indexed: true }) },
      options: { kind: { borrower: { color: 'teal' } } },
      views: {
        borrowers: {
          type: 'table',
          columns: ['name', 'example__openLoans', 'country', 'owner'],
          filter: { field: 'example__openLoans', op: 'gt', value: 0 },
          sort: ['-example__openLoans'],
        },
      },
    },
    // #endregion
    'inbox.message': { options: { channel: { text: { color: 'teal' } } } },
    // #region extend
  },
  // #endregion
  // #region portal
  audiences: { borrower: { icon: 'hand', of: 'contacts.company', staff: 'name' } },
  portals: {
    borrower: {
      objects: {
        'example.loan': {
          rows: company('borrower'),
          read: ['number', 'serial', 'status', 'from', 'due', 'fee', 'borrower', 'borrowerNote'],
          write: ['borrowerNote'],
          keep: ['borrowerNote'],
          actions: ['extend'],
        },
        'example.wish': { rows: company('borrower'), read: ['what', 'loan', 'borrower'], create: ['what', 'loan'] },
      },
      pages: {
        loans: {
          object: 'example.loan',
          icon: 'calendar-clock',
          columns: ['number', 'serial', 'status', 'due', 'fee'],
          filter: { field: 'status', op: 'ne', value: 'back' },
          sort: ['due'],
        },
        wishes: { object: 'example.wish', icon: 'lightbulb', columns: ['what'] },
      },
      start: {
        answer: [{ object: 'example.loan', filter: { field: 'status', op: 'eq', value: 'reserved' }, sort: ['due'] }],
        late: [
          {
            object: 'example.loan',
            filter: {
              and: [
                { field: 'status', op: 'eq', value: 'out' },
                { field: 'due', op: 'lt', value: { days: 0 } },
              ],
            },
          },
        ],
        changed: ['example.loan'],
      },
    },
  },
  // #endregion
  // #region metrics
  metrics: {
    out: { icon: 'hand', object: 'example.loan', filter: { field: 'status', op: 'eq', value: 'out' }, by: 'equipment.kind' },
    fees: { icon: 'coins', object: 'example.loan', sum: 'fee', over: 'from' },
  },
  // #endregion
  // #region permissions
  permissions: { waive: { roles: ['manager'] } },
  // #endregion
  // #region settings
  settings: {
    holdDays: number({ integer: true, min: 1, max: 30, default: 3 }),
    closing: longText(),
    board: url(),
    boardKey: secret(),
    /** What signs the messages of the box at the door, into which people put what they bring back at night. */
    boxKey: secret(),
    /** Who makes texts of mails to `<number>@…`, and what signs the answers. */
    textGateway: text({ max: 200 }),
    textKey: secret(),
    /** Where the box says what lies in it, for those that do not say so by themselves. */
    box: url(),
  },
  // #endregion
  // #region events
  events: { overdue: { object: 'loan', data: { days: number({ integer: true, required: true }) } } },
  // #endregion
  // #region workflow
  workflows: {
    remindLate: {
      enabled: true,
      trigger: { on: 'date', object: 'example.loan', field: 'due', days: 1 },
      condition: { field: 'status', op: 'eq', value: 'out' },
      steps: [
        { id: 'remind', kind: 'action', action: 'remind' },
        { id: 'wait', kind: 'wait', days: 3 },
        { id: 'call', kind: 'task', subject: 'Ask for {{record.number}}', dueInDays: 0, once: true },
      ],
    },
  },
  // #endregion
});

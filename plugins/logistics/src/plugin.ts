/** Logistics: shipments and their milestones, and the portal in which carriers report them. */
import { contacts } from '@kith/plugin-contacts/plugin';
import { portals } from '@kith/plugin-portals/plugin';
import { sales } from '@kith/plugin-sales/plugin';
import {
  action,
  address,
  allOf,
  boolean,
  company,
  date,
  dateTime,
  definePlugin,
  guest,
  longText,
  money,
  need,
  not,
  number,
  object,
  ref,
  select,
  text,
  type Filter,
} from '@kith/sdk';
import de from '../locales/de.json' with { type: 'json' };
import en from '../locales/en.json' with { type: 'json' };

const SHIPMENT_STATUS = {
  planned: { color: 'grey' },
  inTransit: { color: 'blue' },
  delivered: { color: 'green' },
  exception: { color: 'red' },
} as const;

const UNDER_WAY: Filter = { field: 'status', op: 'ne', value: 'delivered' };
/** Estimated for later than the customer wants it, or overdue. */
const LATE: Filter = {
  and: [
    UNDER_WAY,
    {
      or: [
        { field: 'daysLate', op: 'gt', value: 0 },
        { field: 'estimatedArrival', op: 'lt', value: { days: 0 } },
      ],
    },
  ],
};

export const logistics = definePlugin({
  id: 'logistics',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'collaborative',
  needs: [need(portals, '^1.0.0'), need(contacts, '^1.0.0'), need(sales, '^1.0.0')],
  locales: { en, de },
  objects: {
    shipment: object({
      icon: 'truck',
      title: ['number'],
      search: ['number', 'orderNumber'],
      unique: [['number']],
      fields: {
        number: text({ sequence: { start: 20001, prefix: 'S-' }, required: true, indexed: true }),
        carrier: ref('contacts.company', { mode: 'restricted', required: true, group: 'facts', listed: true, indexed: true }),
        order: ref('sales.order', { mode: 'restricted', group: 'facts', listed: true, indexed: true }),
        orderNumber: text({ mode: 'restricted', snapshot: 'order.number', group: 'facts' }),
        status: select({ options: SHIPMENT_STATUS, mode: 'arbitrated', default: 'planned', required: true, group: 'state', indexed: true }),
        estimatedArrival: date({ mode: 'restricted', group: 'state', indexed: true }),
        daysLate: number({ mode: 'derived', integer: true, group: 'state', indexed: true }),
        lastPlace: text({ mode: 'derived', group: 'state' }),
        lastEventAt: dateTime({ mode: 'derived', group: 'state', indexed: true }),
        exceptionReason: text({ mode: 'derived', group: 'state' }),
        shipBy: date({ mode: 'restricted', group: 'delivery', indexed: true }),
        requiredDate: date({ mode: 'restricted', snapshot: 'order.requiredDate', group: 'delivery', indexed: true }),
        shipTo: address({ mode: 'restricted', snapshot: 'order.shipTo', group: 'delivery' }),
        freightCharged: money({ mode: 'restricted', min: 0, group: 'money' }),
        instructions: longText({ group: 'notes' }),
        carrierNote: longText({ group: 'notes' }),
      },
      views: {
        open: {
          type: 'table',
          columns: ['number', 'carrier', 'order', 'status', 'shipBy', 'estimatedArrival', 'daysLate', 'lastPlace', 'lastEventAt'],
          filter: UNDER_WAY,
          sort: ['estimatedArrival', 'number'],
        },
        late: {
          type: 'table',
          columns: ['number', 'carrier', 'order', 'status', 'requiredDate', 'estimatedArrival', 'daysLate', 'exceptionReason'],
          filter: LATE,
          sort: ['estimatedArrival', 'number'],
        },
        exceptions: {
          type: 'table',
          columns: ['number', 'carrier', 'order', 'exceptionReason', 'lastPlace', 'lastEventAt', 'estimatedArrival', 'daysLate'],
          filter: { field: 'status', op: 'eq', value: 'exception' },
          sort: ['-lastEventAt'],
        },
        all: {
          type: 'table',
          columns: ['number', 'carrier', 'order', 'status', 'shipBy', 'estimatedArrival', 'lastPlace', 'freightCharged'],
          sort: ['-shipBy', '-number'],
        },
        board: {
          type: 'board',
          columns: ['number', 'carrier', 'estimatedArrival', 'lastPlace'],
          groupBy: 'status',
          sort: ['estimatedArrival'],
        },
      },
      actions: {
        report: action({
          offered: ['button'],
          input: {
            kind: select({
              options: {
                pickedUp: { color: 'blue' },
                departed: { color: 'blue' },
                arrived: { color: 'indigo' },
                delivered: { color: 'green' },
              },
              required: true,
            }),
            at: dateTime(),
            place: text(),
            note: text(),
            estimatedArrival: date(),
          },
        }),
        reportException: action({
          offered: ['button'],
          input: { reason: text({ required: true }), at: dateTime(), place: text(), estimatedArrival: date() },
        }),
      },
    }),
    milestone: object({
      icon: 'map-pin',
      title: ['shipmentNumber', 'kind'],
      nav: false,
      fields: {
        shipment: ref('logistics.shipment', { mode: 'restricted', required: true, group: 'facts', listed: true, indexed: true }),
        shipmentNumber: text({ mode: 'derived', lookup: 'shipment.number', group: 'facts' }),
        carrier: ref('contacts.company', { mode: 'derived', lookup: 'shipment.carrier', group: 'facts', indexed: true }),
        // Whose shipment it was when this was reported: what one carrier wrote is not for the next.
        reporter: ref('contacts.company', { mode: 'restricted', snapshot: 'shipment.carrier', group: 'facts' }),
        withdrawn: boolean({ mode: 'derived', group: 'facts' }),
        kind: select({
          options: {
            pickedUp: { color: 'blue' },
            departed: { color: 'blue' },
            arrived: { color: 'indigo' },
            delivered: { color: 'green' },
            exception: { color: 'red' },
          },
          mode: 'restricted',
          required: true,
          group: 'facts',
          indexed: true,
        }),
        at: dateTime({ mode: 'restricted', default: 'now', required: true, group: 'facts', indexed: true }),
        place: text({ mode: 'restricted', group: 'facts' }),
        note: text({ mode: 'restricted', group: 'facts' }),
      },
      views: {
        all: { type: 'table', columns: ['shipment', 'kind', 'at', 'place', 'note', 'carrier'], sort: ['-at'] },
      },
    }),
  },
  extend: {
    'sales.order': {
      fields: {
        shipmentStatus: select({ options: SHIPMENT_STATUS, mode: 'derived', group: 'shipment', indexed: true }),
        estimatedArrival: date({ mode: 'derived', group: 'shipment', indexed: true }),
      },
    },
  },
  audiences: {
    carrier: { icon: 'truck', of: 'contacts.company' },
    recipient: { icon: 'package' },
  },
  portals: {
    carrier: {
      objects: {
        'logistics.shipment': {
          rows: company('carrier'),
          read: [
            'number',
            'carrier',
            'orderNumber',
            'status',
            'estimatedArrival',
            'daysLate',
            'lastPlace',
            'lastEventAt',
            'exceptionReason',
            'shipBy',
            'requiredDate',
            'shipTo',
            'instructions',
            'carrierNote',
          ],
          write: ['estimatedArrival', 'carrierNote'],
          actions: ['report', 'reportException'],
          // The new carrier takes over what the old one promised, until it says otherwise.
          keep: ['estimatedArrival'],
        },
        'logistics.milestone': {
          rows: allOf(company('carrier'), company('reporter'), not({ field: 'withdrawn', op: 'eq', value: true })),
          read: ['shipment', 'shipmentNumber', 'carrier', 'kind', 'at', 'place', 'note'],
          create: ['shipment', 'kind', 'at', 'place', 'note'],
        },
      },
      pages: {
        open: {
          object: 'logistics.shipment',
          icon: 'truck',
          columns: ['number', 'orderNumber', 'status', 'shipBy', 'estimatedArrival', 'lastPlace'],
          filter: UNDER_WAY,
          sort: ['shipBy', 'number'],
        },
        shipments: {
          object: 'logistics.shipment',
          icon: 'package',
          columns: ['number', 'orderNumber', 'status', 'shipBy', 'estimatedArrival', 'lastPlace', 'lastEventAt'],
          sort: ['-shipBy', '-number'],
        },
        milestones: {
          object: 'logistics.milestone',
          icon: 'map-pin',
          columns: ['shipment', 'kind', 'at', 'place', 'note'],
          sort: ['-at'],
        },
      },
      start: {
        answer: [
          {
            object: 'logistics.shipment',
            filter: {
              or: [
                { field: 'status', op: 'eq', value: 'planned' },
                { and: [UNDER_WAY, { field: 'estimatedArrival', op: 'isNull', value: true }] },
              ],
            },
            sort: ['shipBy', 'number'],
          },
        ],
        late: [{ object: 'logistics.shipment', filter: LATE, sort: ['estimatedArrival', 'number'] }],
        changed: ['logistics.shipment'],
      },
    },
    recipient: {
      objects: {
        'logistics.shipment': {
          rows: guest,
          read: ['number', 'status', 'estimatedArrival', 'lastPlace', 'lastEventAt'],
        },
      },
    },
  },
});

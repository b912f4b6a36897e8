/** Suppliers: purchase orders and their lines, and the portal in which suppliers answer them. */
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
  longText,
  money,
  need,
  not,
  number,
  object,
  ref,
  select,
  text,
  user,
  type Filter,
} from '@kith/sdk';
import de from '../locales/de.json' with { type: 'json' };
import en from '../locales/en.json' with { type: 'json' };

const ORDER_STATUS = {
  open: { color: 'amber' },
  confirmed: { color: 'green' },
  changed: { color: 'violet' },
  rejected: { color: 'red' },
  shipped: { color: 'blue' },
  closed: { color: 'grey' },
} as const;

/** Purchase orders that still take answers. */
const UNDER_WAY: Filter = { field: 'status', op: 'in', value: ['open', 'confirmed', 'changed'] };
const LINE_UNDER_WAY: Filter = { field: 'orderStatus', op: 'in', value: ['open', 'confirmed', 'changed'] };
/** Lines whose purchase order is not in the bin. */
const STANDING: Filter = { field: 'withdrawn', op: 'ne', value: true };
const LINE_OPEN: Filter = { and: [{ field: 'status', op: 'eq', value: 'open' }, LINE_UNDER_WAY] };
/** Confirmed for later than required, or not answered although the day is over. */
const LINE_LATE: Filter = {
  and: [
    LINE_UNDER_WAY,
    {
      or: [
        { field: 'daysLate', op: 'gt', value: 0 },
        {
          and: [
            { field: 'status', op: 'eq', value: 'open' },
            { field: 'requiredDate', op: 'lt', value: { days: 0 } },
          ],
        },
      ],
    },
  ],
};

export const suppliers = definePlugin({
  id: 'suppliers',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'collaborative',
  needs: [need(portals, '^1.0.0'), need(contacts, '^1.0.0'), need(sales, '^1.0.0')],
  locales: { en, de },
  objects: {
    purchaseOrder: object({
      icon: 'clipboard-list',
      title: ['number'],
      search: ['number', 'orderNumber'],
      unique: [['number']],
      fields: {
        number: text({ sequence: { start: 40001 }, required: true, indexed: true }),
        supplier: ref('contacts.company', { mode: 'restricted', required: true, group: 'facts', listed: true, indexed: true }),
        order: ref('sales.order', { mode: 'restricted', group: 'facts', listed: true, indexed: true }),
        orderNumber: text({ mode: 'restricted', snapshot: 'order.number', group: 'facts' }),
        owner: user({ mode: 'restricted', default: 'creator', group: 'facts', indexed: true }),
        status: select({ options: ORDER_STATUS, mode: 'arbitrated', default: 'open', required: true, group: 'state', indexed: true }),
        requiredDate: date({ mode: 'restricted', snapshot: 'order.requiredDate', group: 'state', indexed: true }),
        shippedAt: dateTime({ mode: 'derived', group: 'state' }),
        openLines: number({ mode: 'derived', integer: true, group: 'state', indexed: true }),
        lateLines: number({ mode: 'derived', integer: true, group: 'state', indexed: true }),
        proposals: number({ mode: 'derived', integer: true, group: 'state', indexed: true }),
        value: money({ mode: 'derived', group: 'money' }),
        margin: money({ mode: 'derived', group: 'money' }),
        shipTo: address({ mode: 'restricted', snapshot: 'order.shipTo', group: 'delivery' }),
        instructions: longText({ group: 'notes' }),
        supplierNote: longText({ group: 'notes' }),
        internalNote: longText({ group: 'notes' }),
      },
      views: {
        open: {
          type: 'table',
          columns: [
            'number',
            'supplier',
            'order',
            'status',
            'requiredDate',
            'openLines',
            'proposals',
            'lateLines',
            'value',
            'margin',
            'owner',
          ],
          filter: UNDER_WAY,
          sort: ['requiredDate', 'number'],
        },
        proposals: {
          type: 'table',
          columns: ['number', 'supplier', 'status', 'requiredDate', 'proposals', 'lateLines', 'value', 'margin', 'owner'],
          filter: { and: [UNDER_WAY, { field: 'proposals', op: 'gt', value: 0 }] },
          sort: ['requiredDate', 'number'],
        },
        late: {
          type: 'table',
          columns: ['number', 'supplier', 'order', 'status', 'requiredDate', 'lateLines', 'openLines', 'value', 'owner'],
          filter: {
            and: [
              UNDER_WAY,
              {
                or: [
                  { field: 'lateLines', op: 'gt', value: 0 },
                  {
                    and: [
                      { field: 'openLines', op: 'gt', value: 0 },
                      { field: 'requiredDate', op: 'lt', value: { days: 0 } },
                    ],
                  },
                ],
              },
            ],
          },
          sort: ['requiredDate', 'number'],
        },
        all: {
          type: 'table',
          columns: ['number', 'supplier', 'order', 'status', 'requiredDate', 'value', 'margin', 'owner'],
          sort: ['-requiredDate', '-number'],
        },
        board: {
          type: 'board',
          columns: ['number', 'supplier', 'requiredDate', 'value'],
          groupBy: 'status',
          sum: 'value',
          sort: ['requiredDate'],
        },
      },
      actions: {
        confirmAll: action({ offered: ['button', 'bulk'] }),
        rejectAll: action({ offered: ['button'], input: { reason: text({ required: true }) } }),
        acceptAll: action({ offered: ['button', 'bulk'] }),
        markShipped: action({ offered: ['button', 'bulk'] }),
        close: action({ offered: ['button', 'bulk'] }),
        reopen: action({ offered: ['button', 'bulk'] }),
      },
    }),
    purchaseOrderLine: object({
      icon: 'list-checks',
      title: ['item'],
      search: ['item', 'orderNumber'],
      fields: {
        item: text({ mode: 'restricted', snapshot: 'product.name', indexed: true }),
        purchaseOrder: ref('suppliers.purchaseOrder', { mode: 'restricted', required: true, group: 'facts', listed: true, indexed: true }),
        orderNumber: text({ mode: 'derived', lookup: 'purchaseOrder.number', group: 'facts' }),
        supplier: ref('contacts.company', { mode: 'derived', lookup: 'purchaseOrder.supplier', group: 'facts', indexed: true }),
        product: ref('sales.product', { mode: 'restricted', group: 'facts', listed: true, indexed: true }),
        orderLine: ref('sales.orderLine', { mode: 'restricted', group: 'facts', indexed: true }),
        orderStatus: select({ options: ORDER_STATUS, mode: 'derived', lookup: 'purchaseOrder.status', group: 'facts', indexed: true }),
        orderedQuantity: number({ mode: 'restricted', required: true, min: 0, group: 'ordered' }),
        requiredDate: date({ mode: 'derived', lookup: 'purchaseOrder.requiredDate', group: 'ordered', indexed: true }),
        agreedDate: date({ mode: 'restricted', group: 'ordered' }),
        confirmedQuantity: number({ mode: 'restricted', min: 0, group: 'answer' }),
        confirmedDate: date({ mode: 'restricted', group: 'answer', indexed: true }),
        status: select({
          options: { open: { color: 'amber' }, confirmed: { color: 'green' }, countered: { color: 'violet' }, rejected: { color: 'red' } },
          mode: 'arbitrated',
          default: 'open',
          required: true,
          group: 'answer',
          indexed: true,
        }),
        daysLate: number({ mode: 'derived', integer: true, group: 'answer', indexed: true }),
        reason: text({ mode: 'arbitrated', group: 'answer' }),
        answer: text({ mode: 'arbitrated', group: 'answer' }),
        withdrawn: boolean({ mode: 'derived', group: 'facts' }),
        unitCost: money({ mode: 'restricted', min: 0, group: 'money' }),
        internalCost: money({ mode: 'restricted', min: 0, group: 'money' }),
        netSales: money({ mode: 'restricted', snapshot: 'orderLine.total', group: 'money' }),
      },
      views: {
        open: {
          type: 'table',
          columns: ['item', 'purchaseOrder', 'supplier', 'orderedQuantity', 'requiredDate', 'status', 'unitCost'],
          filter: { and: [LINE_OPEN, STANDING] },
          sort: ['requiredDate', 'orderNumber'],
        },
        proposals: {
          type: 'table',
          columns: [
            'item',
            'purchaseOrder',
            'supplier',
            'orderedQuantity',
            'confirmedQuantity',
            'requiredDate',
            'confirmedDate',
            'daysLate',
            'reason',
          ],
          filter: { and: [LINE_UNDER_WAY, { field: 'status', op: 'eq', value: 'countered' }, STANDING] },
          sort: ['requiredDate', 'orderNumber'],
        },
        late: {
          type: 'table',
          columns: [
            'item',
            'purchaseOrder',
            'supplier',
            'status',
            'requiredDate',
            'confirmedDate',
            'daysLate',
            'orderedQuantity',
            'reason',
          ],
          filter: { and: [LINE_LATE, STANDING] },
          sort: ['requiredDate', 'orderNumber'],
        },
        atRisk: {
          type: 'table',
          columns: ['item', 'purchaseOrder', 'supplier', 'orderedQuantity', 'requiredDate', 'status'],
          filter: { and: [LINE_OPEN, { field: 'requiredDate', op: 'lte', value: { days: 7 } }, STANDING] },
          sort: ['requiredDate', 'orderNumber'],
        },
        all: {
          type: 'table',
          columns: [
            'item',
            'purchaseOrder',
            'supplier',
            'orderedQuantity',
            'confirmedQuantity',
            'requiredDate',
            'confirmedDate',
            'status',
            'unitCost',
          ],
          sort: ['-requiredDate', 'orderNumber'],
        },
      },
      actions: {
        confirm: action({
          offered: ['button', 'bulk'],
          input: { confirmedQuantity: number({ min: 0 }), confirmedDate: date() },
        }),
        propose: action({
          offered: ['button'],
          input: { confirmedQuantity: number({ min: 0 }), confirmedDate: date(), reason: text() },
        }),
        reject: action({ offered: ['button'], input: { reason: text({ required: true }) } }),
        accept: action({ offered: ['button', 'bulk'] }),
        counter: action({
          offered: ['button'],
          input: { orderedQuantity: number({ min: 0 }), requiredDate: date(), answer: text() },
        }),
      },
    }),
  },
  audiences: { supplier: { icon: 'factory', of: 'contacts.company' } },
  workflows: {
    /** Somebody looks after each line that a supplier confirms for later than required. */
    late: {
      enabled: true,
      trigger: { on: 'changed', object: 'suppliers.purchaseOrderLine', field: 'confirmedDate' },
      condition: { field: 'daysLate', op: 'gt', value: 0 },
      steps: [
        {
          id: 'follow-up',
          kind: 'task',
          subject: '{{record.item}} on {{record.orderNumber}} comes {{record.daysLate}} days late',
          details:
            '{{record.supplier.name}} confirmed {{record.confirmedQuantity}} for {{record.confirmedDate}}; required by {{record.requiredDate}}.',
          owner: { path: 'record.purchaseOrder.owner' },
          dueInDays: 1,
          priority: 'high',
          once: true,
        },
      ],
    },
  },
  portals: {
    supplier: {
      objects: {
        'suppliers.purchaseOrder': {
          rows: company('supplier'),
          read: [
            'number',
            'supplier',
            'orderNumber',
            'status',
            'requiredDate',
            'shippedAt',
            'openLines',
            'lateLines',
            'proposals',
            'value',
            'shipTo',
            'instructions',
            'supplierNote',
          ],
          write: ['supplierNote'],
          actions: ['confirmAll', 'rejectAll', 'markShipped'],
        },
        'suppliers.purchaseOrderLine': {
          // What stands in an order that was thrown away is not asked of anybody.
          rows: allOf(company('supplier'), not({ field: 'withdrawn', op: 'eq', value: true })),
          read: [
            'item',
            'purchaseOrder',
            'orderNumber',
            'supplier',
            'product',
            'orderStatus',
            'orderedQuantity',
            'requiredDate',
            'agreedDate',
            'confirmedQuantity',
            'confirmedDate',
            'status',
            'daysLate',
            'reason',
            'answer',
            'unitCost',
          ],
          write: ['confirmedQuantity', 'confirmedDate'],
          actions: ['confirm', 'propose', 'reject'],
        },
      },
      pages: {
        open: {
          object: 'suppliers.purchaseOrder',
          icon: 'inbox',
          columns: ['number', 'orderNumber', 'status', 'requiredDate', 'openLines', 'value'],
          filter: UNDER_WAY,
          sort: ['requiredDate', 'number'],
        },
        orders: {
          object: 'suppliers.purchaseOrder',
          icon: 'clipboard-list',
          columns: ['number', 'orderNumber', 'status', 'requiredDate', 'value'],
          sort: ['-requiredDate', '-number'],
        },
        lines: {
          object: 'suppliers.purchaseOrderLine',
          icon: 'list-checks',
          columns: ['item', 'orderNumber', 'orderedQuantity', 'confirmedQuantity', 'requiredDate', 'confirmedDate', 'status'],
          sort: ['-requiredDate', 'orderNumber'],
        },
      },
      start: {
        answer: [
          {
            object: 'suppliers.purchaseOrder',
            filter: { and: [UNDER_WAY, { field: 'openLines', op: 'gt', value: 0 }] },
            sort: ['requiredDate', 'number'],
          },
        ],
        late: [{ object: 'suppliers.purchaseOrderLine', filter: LINE_LATE, sort: ['requiredDate', 'orderNumber'] }],
        changed: ['suppliers.purchaseOrder', 'suppliers.purchaseOrderLine'],
      },
    },
  },
});

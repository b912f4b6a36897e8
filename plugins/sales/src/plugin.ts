/** Sales: products, orders and their lines; deals and the pipelines they move through. */
import { contacts } from '@kith/plugin-contacts/plugin';
import {
  action,
  address,
  boolean,
  date,
  definePlugin,
  longText,
  money,
  need,
  number,
  object,
  ref,
  richText,
  select,
  text,
  user,
} from '@kith/sdk';
import de from '../locales/de.json' with { type: 'json' };
import en from '../locales/en.json' with { type: 'json' };

export const sales = definePlugin({
  id: 'sales',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  needs: [need(contacts, '^1.0.0')],
  locales: { en, de },
  metrics: {
    openDeals: {
      icon: 'handshake',
      object: 'sales.deal',
      sum: 'amount',
      filter: { field: 'stage', op: 'nin', value: ['won', 'lost'] },
      by: 'stage',
    },
  },
  objects: {
    deal: object({
      icon: 'handshake',
      title: ['name'],
      search: ['name'],
      stages: 'stage',
      fields: {
        name: text({ required: true }),
        company: ref('contacts.company', { group: 'facts', listed: true, indexed: true }),
        person: ref('contacts.person', { group: 'facts', listed: true }),
        pipeline: ref('sales.pipeline', { group: 'facts', listed: true, indexed: true }),
        stage: select({
          options: {
            lead: { color: 'grey', outcome: 'open', probability: 0.1 },
            qualified: { color: 'blue', outcome: 'open', probability: 0.25 },
            proposal: { color: 'indigo', outcome: 'open', probability: 0.5 },
            negotiation: { color: 'violet', outcome: 'open', probability: 0.75 },
            won: { color: 'green', outcome: 'won', probability: 1 },
            lost: { color: 'red', outcome: 'lost', probability: 0 },
          },
          default: 'lead',
          required: true,
          group: 'facts',
          indexed: true,
        }),
        amount: money({ group: 'facts', min: 0 }),
        closeDate: date({ group: 'facts' }),
        owner: user({ group: 'facts', default: 'creator', indexed: true }),
        lostReason: text({ group: 'facts' }),
        summary: longText({ group: 'about' }),
        notes: richText({ group: 'about' }),
      },
      views: {
        board: {
          type: 'board',
          columns: ['name', 'company', 'amount', 'closeDate', 'owner'],
          groupBy: 'stage',
          sum: 'amount',
          sort: ['closeDate'],
        },
        all: {
          type: 'table',
          columns: ['name', 'company', 'stage', 'amount', 'closeDate', 'owner'],
          sort: ['closeDate'],
        },
      },
      actions: {
        win: action({ offered: ['button', 'bulk'] }),
        lose: action({ offered: ['button', 'bulk'], input: { reason: text({ required: true }) } }),
      },
    }),
    order: object({
      icon: 'shopping-cart',
      title: ['number'],
      search: ['number', 'shipName'],
      unique: [['number']],
      fields: {
        number: text({ sequence: { start: 10001 }, required: true, indexed: true }),
        company: ref('contacts.company', { required: true, group: 'facts', listed: true, indexed: true }),
        owner: user({ group: 'facts', default: 'creator', indexed: true }),
        orderDate: date({ default: 'today', group: 'dates', indexed: true }),
        requiredDate: date({ group: 'dates', indexed: true }),
        shippedDate: date({ group: 'dates', indexed: true }),
        freight: money({ group: 'delivery', min: 0 }),
        shipName: text({ group: 'delivery' }),
        shipTo: address({ group: 'delivery' }),
        note: longText({ group: 'about' }),
        externalId: text({ group: 'facts', indexed: true }),
      },
      views: {
        all: {
          type: 'table',
          columns: ['number', 'company', 'orderDate', 'requiredDate', 'shippedDate', 'freight', 'owner'],
          sort: ['-orderDate', '-number'],
        },
        open: {
          type: 'table',
          columns: ['number', 'company', 'orderDate', 'requiredDate', 'freight', 'owner'],
          filter: { field: 'shippedDate', op: 'isNull', value: true },
          sort: ['requiredDate'],
        },
      },
    }),
    orderLine: object({
      icon: 'list',
      title: ['product'],
      nav: false,
      fields: {
        order: ref('sales.order', { required: true, group: 'facts', listed: true, indexed: true }),
        product: ref('sales.product', { required: true, group: 'facts', listed: true, indexed: true }),
        quantity: number({ required: true, min: 0, group: 'facts' }),
        unitPrice: money({ required: true, group: 'facts', min: 0 }),
        discount: number({ min: 0, max: 1, percent: true, default: 0, group: 'facts' }),
        total: money({ mode: 'derived', group: 'facts' }),
      },
      views: {
        all: { type: 'table', columns: ['product', 'quantity', 'unitPrice', 'discount', 'total', 'order'], sort: ['-createdAt'] },
      },
    }),
    product: object({
      icon: 'package',
      title: ['name'],
      search: ['name', 'category', 'externalId'],
      fields: {
        name: text({ required: true, indexed: true }),
        category: text({ group: 'facts', indexed: true }),
        supplier: ref('contacts.company', { group: 'facts', listed: true, indexed: true }),
        price: money({ group: 'facts', min: 0 }),
        unit: text({ group: 'facts' }),
        unitsInStock: number({ mode: 'arbitrated', integer: true, min: 0, default: 0, group: 'stock' }),
        discontinued: boolean({ default: false, group: 'stock' }),
        description: longText({ group: 'about' }),
        externalId: text({ group: 'facts', indexed: true }),
      },
      views: {
        all: {
          type: 'table',
          columns: ['name', 'category', 'supplier', 'price', 'unit', 'unitsInStock', 'discontinued'],
          sort: ['name'],
        },
      },
      actions: {
        adjustStock: action({
          offered: ['button'],
          input: { by: number({ required: true, integer: true }), reason: text() },
        }),
      },
    }),
    pipeline: object({
      icon: 'route',
      title: ['name'],
      search: ['name'],
      nav: false,
      fields: {
        name: text({ required: true }),
        description: longText(),
      },
      views: { all: { type: 'table', columns: ['name', 'description'], sort: ['name'] } },
    }),
  },
});

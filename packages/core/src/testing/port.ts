/** A plugin for tests of what people from outside may do: consignments of companies, with items, for agents, brokers and visitors. */
import {
  action,
  allOf,
  company,
  definePlugin,
  defineServer,
  guest,
  longText,
  not,
  number,
  object,
  ref,
  richText,
  select,
  text,
} from '@kith/sdk';

const PHASES = { draft: {}, open: {}, done: {} } as const;

export const port = definePlugin({
  id: 'port',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'collaborative',
  locales: { en: { 'plugin.port': 'Port', 'event.weighed': 'Was weighed' } },
  events: { weighed: { object: 'consignment', data: { tons: number({ required: true, min: 0 }), by: text() } } },
  audiences: {
    agent: { icon: 'anchor', of: 'port.company' },
    broker: { icon: 'ship', of: 'port.company', staff: 'name' },
    visitor: { icon: 'eye' },
  },
  objects: {
    company: object({ icon: 'building', title: ['name'], search: ['name'], fields: { name: text({ required: true }), rating: text() } }),
    consignment: object({
      icon: 'package',
      title: ['name'],
      search: ['name', 'secret'],
      fields: {
        name: text({ required: true }),
        agent: ref('port.company', { mode: 'restricted', indexed: true }),
        broker: ref('port.company', { mode: 'restricted', indexed: true }),
        phase: select({ options: PHASES, mode: 'restricted', default: 'open' }),
        note: longText(),
        story: richText(),
        brief: longText(),
        secret: text(),
        memo: longText(),
        cost: number({ mode: 'restricted' }),
        quantity: number({ mode: 'restricted', min: 0 }),
        kept: text({ mode: 'restricted' }),
        items: number({ mode: 'derived' }),
      },
      actions: {
        approve: action({}),
        hide: action({}),
      },
    }),
    item: object({
      icon: 'box',
      title: ['label'],
      search: ['label', 'price'],
      unique: [['serial']],
      fields: {
        consignment: ref('port.consignment', { mode: 'restricted', required: true }),
        agent: ref('port.company', { mode: 'derived', lookup: 'consignment.agent', indexed: true }),
        phase: select({ options: PHASES, mode: 'derived', lookup: 'consignment.phase' }),
        label: text({ mode: 'restricted' }),
        title: text({ mode: 'restricted', snapshot: 'consignment.name' }),
        price: text({ mode: 'restricted' }),
        serial: text({ mode: 'restricted' }),
        weight: number({ mode: 'restricted', indexed: true }),
      },
    }),
  },
  portals: {
    agent: {
      objects: {
        'port.consignment': {
          rows: allOf(company('agent'), not({ field: 'phase', op: 'eq', value: 'draft' })),
          read: ['name', 'agent', 'phase', 'note', 'story', 'brief', 'quantity', 'kept', 'items'],
          write: ['note', 'story', 'quantity', 'kept'],
          actions: ['approve'],
          keep: ['kept'],
        },
        'port.item': {
          rows: company('agent'),
          read: ['consignment', 'agent', 'label', 'title', 'weight'],
          write: ['label'],
          create: ['consignment', 'label', 'weight'],
        },
      },
      pages: { items: { object: 'port.item', icon: 'box', columns: ['label', 'weight'], sort: ['weight'] } },
    },
    broker: {
      objects: { 'port.consignment': { rows: company('broker'), read: ['name', 'brief'] } },
    },
    visitor: {
      objects: { 'port.consignment': { rows: guest, read: ['name', 'phase'] } },
    },
  },
});

export const portServer = defineServer(port, {
  actions: {
    consignment: {
      approve: () => ({ phase: 'done' }),
      hide: () => ({ phase: 'draft' }),
    },
  },
  guards: {
    consignment: ({ record, patch }) =>
      patch.quantity !== undefined && record.phase === 'done'
        ? { problems: [{ field: 'quantity', code: 'done', message: 'is settled' }] }
        : undefined,
  },
  effects: {
    item: async (changes, { asPlugin }) => {
      const parents = new Set(
        changes.flatMap(({ before, record }) => [before?.consignment, record.consignment].filter((id) => id != null)),
      );
      for (const id of parents) {
        const { data } = await asPlugin.query('port.item', { filter: { field: 'consignment', op: 'eq', value: id }, limit: 500 });
        await asPlugin.patch('port.consignment', id, { items: data.length });
      }
      // What follows may come back to what it follows from.
      for (const { kind, id, record } of changes)
        if (kind === 'created' && record.label === 'boomerang') await asPlugin.patch('port.item', id, { price: 'hidden-price' });
    },
  },
});

/** Two plugins for tests of switching: `shop`, and `yard`, which needs it, adds to its object and has something of every kind. */
import {
  action,
  company,
  definePlugin,
  defineServer,
  everyone,
  longText,
  need,
  number,
  object,
  ref,
  secret,
  select,
  text,
} from '@kith/sdk';

export const shop = definePlugin({
  id: 'shop',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  locales: { en: { 'plugin.shop': 'Shop', 'object.item.many': 'Items' } },
  objects: {
    item: object({
      icon: 'box',
      title: ['name'],
      search: ['name'],
      fields: { name: text({ required: true }), size: number(), kind: select({ options: { plain: {} } }) },
      access: { create: everyone, update: everyone },
    }),
  },
});
export const shopServer = defineServer(shop, {});

export const yard = definePlugin({
  id: 'yard',
  version: '1.2.0',
  sdk: '^1.0.0',
  part: 'collaborative',
  needs: [need(shop, '^1.0.0')],
  locales: { en: { 'plugin.yard': 'Yard', 'object.crate.many': 'Crates' } },
  objects: {
    crate: object({
      icon: 'package',
      title: ['name'],
      search: ['name'],
      fields: {
        name: text({ required: true }),
        item: ref('shop.item', { mode: 'restricted' }),
        keeper: ref('shop.item', { mode: 'restricted' }),
        note: longText(),
      },
      access: { create: everyone, update: everyone },
      actions: { close: action({}) },
    }),
  },
  extend: {
    'shop.item': {
      fields: { shelf: text({ required: true, default: 'A' }), crates: number({ mode: 'derived' }) },
      options: { kind: { heavy: {} } },
      views: { shelves: { type: 'table', columns: ['name', 'yard__shelf'] } },
    },
  },
  settings: { gate: secret() },
  audiences: { keeper: { icon: 'key', of: 'shop.item' } },
  portals: {
    keeper: {
      objects: { 'yard.crate': { rows: company('keeper'), read: ['name', 'note', 'item'], write: ['name', 'note', 'item'] } },
      pages: { crates: { object: 'yard.crate', icon: 'package', columns: ['name'] } },
      start: { changed: ['yard.crate'] },
    },
  },
});

export const yardServer = defineServer(yard, {
  actions: { crate: { close: () => ({ name: 'closed' }) } },
  effects: {
    crate: async (changes, ctx) => {
      const items = [...new Set(changes.flatMap(({ record }) => record.item ?? []))];
      for (const item of items) {
        const { data } = await ctx.asPlugin.query('yard.crate', { filter: { field: 'item', op: 'eq', value: item } });
        await ctx.asPlugin.derive('shop.item', [{ id: item, fields: { yard__crates: data.length } as never }]);
      }
    },
  },
  jobs: {
    label: {
      run: async ([job], ctx) => {
        await ctx.asPlugin.create('yard.crate', { name: `labelled ${String(job!.data)}` });
      },
    },
  },
  consumers: {
    follow: {
      objects: ['shop.item'],
      handle: async (events, ctx) => {
        for (const { kind, changes } of events)
          if (kind === 'created') await ctx.asPlugin.create('yard.crate', { name: `for ${String(changes.name?.[1])}` });
      },
    },
  },
  routes: [{ method: 'GET', path: '/count', access: 'staff', summary: 'How many', handle: () => Promise.resolve({ body: { n: 1 } }) }],
});

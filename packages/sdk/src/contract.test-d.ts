/**
 * The contract's types, tested by the compiler: every line under a
 * `@ts-expect-error` is a mistake that must not compile, and everything else
 * must. Nothing here runs.
 */
import {
  action,
  boolean,
  company,
  date,
  defineClient,
  defineServer,
  definePlugin,
  everyone,
  money,
  multiSelect,
  need,
  number,
  object,
  ref,
  refs,
  secret,
  select,
  text,
  user,
  type FieldsOf,
  type Money,
  type ObjectsOf,
} from './index.ts';

/** Passes only if the two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Takes a value of exactly this type. */
const is =
  <Wanted>() =>
  <Got>(value: Got & (Same<Wanted, Got> extends true ? unknown : never)): Got =>
    value;
const isTrue = <T extends true>(value?: T): T | undefined => value;

// A plugin as it should be --------------------------------------------------

const base = definePlugin({
  id: 'base',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  locales: { en: { 'plugin.base': 'Base' }, de: { 'plugin.base': 'Basis' } },
  objects: {
    company: object({ icon: 'x', title: ['name'], fields: { name: text({ required: true }), size: number() } }),
  },
});

const shop = definePlugin({
  id: 'shop',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  needs: [need(base, '^1.0.0')],
  locales: { en: { 'plugin.shop': 'Shop' } },
  objects: {
    item: object({
      icon: 'x',
      title: ['name'],
      search: ['name', 'code'],
      unique: [['code'], ['name', 'company']],
      stages: 'stage',
      fields: {
        name: text({ required: true }),
        code: text(),
        price: money(),
        amount: number(),
        sold: boolean(),
        since: date(),
        owner: user(),
        stage: select({ options: { open: {}, won: {} }, default: 'open' }),
        tags: multiSelect({ options: { red: {}, blue: {} } }),
        company: ref('base.company', { listed: true }),
        others: refs('shop.item'),
        total: money({ mode: 'derived' }),
      },
      views: {
        all: { type: 'table', columns: ['name', 'price', 'updatedAt'], sort: ['-price', 'name', '-createdAt'] },
        board: { type: 'board', columns: ['name'], groupBy: 'stage', sum: 'price' },
      },
      actions: {
        sell: action({ input: { to: ref('base.company', { required: true }), pieces: number() } }),
        keep: action({}),
      },
    }),
    plain: object({ icon: 'x', title: ['name'], fields: { name: text() } }),
  },
  extend: { 'base.company': { fields: { rating: number() } } },
});

defineServer(shop, {
  guards: {
    item: ({ before, patch, record }) => {
      is<Money | null>()(record.price);
      is<'open' | 'won' | null>()(record.stage);
      is<('red' | 'blue')[] | null>()(record.tags);
      is<string[] | null>()(record.others);
      is<boolean | null | undefined>()(patch.sold);
      return { set: { total: before?.price ?? null } };
    },
  },
  actions: {
    item: {
      sell: async ({ record, input, refuse }, ctx) => {
        is<string | null>()(input.to);
        is<number | null>()(input.pieces);
        if (record.fields.stage === 'won') refuse('Sold already.', 'stage');
        await ctx.records.create('base.company', { name: 'New', size: 3 });
        const { fields } = await ctx.records.get('shop.item', record.id);
        is<string | null>()(fields.company);
        return { stage: 'won', company: input.to };
      },
      keep: () => undefined,
    },
  },
});
isTrue<Same<keyof ObjectsOf<typeof shop>, 'shop.item' | 'shop.plain' | 'base.company'>>();
isTrue<Same<FieldsOf<ObjectsOf<typeof shop>['base.company']>['size'], number | null>>();

// Misspelt in a declaration -------------------------------------------------

const fields = { name: text(), price: money(), stage: select({ options: { open: {} } }) };
const rest = { icon: 'x', fields } as const;
// @ts-expect-error the title names no field
object({ ...rest, title: ['nmae'] });
// @ts-expect-error the search names no field
object({ ...rest, title: ['name'], search: ['nmae'] });
// @ts-expect-error the unique key names no field
object({ ...rest, title: ['name'], unique: [['name', 'nmae']] });
// @ts-expect-error the stages are no field
object({ ...rest, title: ['name'], stages: 'stge' });
// @ts-expect-error the view shows no field
object({ ...rest, title: ['name'], views: { all: { type: 'table', columns: ['nmae'] } } });
// @ts-expect-error the view sorts by no field
object({ ...rest, title: ['name'], views: { all: { type: 'table', columns: ['name'], sort: ['-nmae'] } } });
// @ts-expect-error the board groups by no field
object({ ...rest, title: ['name'], views: { all: { type: 'board', columns: ['name'], groupBy: 'stge' } } });
// @ts-expect-error the board sums no field
object({ ...rest, title: ['name'], views: { all: { type: 'board', columns: ['name'], groupBy: 'stage', sum: 'prize' } } });
// @ts-expect-error there is no such kind of view
object({ ...rest, title: ['name'], views: { all: { type: 'tabel', columns: ['name'] } } });
// @ts-expect-error an object has no such property
object({ ...rest, title: ['name'], serach: ['name'] });
// @ts-expect-error an object without a title has no name
object({ ...rest });
// @ts-expect-error the default is no option
select({ options: { open: {}, won: {} }, default: 'opne' });
// @ts-expect-error no such colour
select({ options: { open: { color: 'pink' } } });
// @ts-expect-error a text has no minimum
text({ min: 1 });
// @ts-expect-error no such mode
number({ mode: 'fixed' });
// @ts-expect-error an action has no such property
action({ inputs: {} });
// @ts-expect-error a number's default is a number
number({ default: 'many' });

const declared = { id: 'late', version: '1.0.0', sdk: '^1.0.0', part: 'operational', locales: { en: {} } } as const;
definePlugin({
  ...declared,
  // @ts-expect-error refers to an object that nobody declares
  objects: { thing: object({ icon: 'x', title: ['name'], fields: { name: text(), to: ref('late.thnig') } }) },
});
definePlugin({
  ...declared,
  // @ts-expect-error refers to an object of a plugin that is not needed
  objects: { thing: object({ icon: 'x', title: ['name'], fields: { name: text(), to: refs('base.company') } }) },
});
definePlugin({
  ...declared,
  needs: [need(base, '^1.0.0')],
  // @ts-expect-error extends an object that the needed plugin does not have
  extend: { 'base.compnay': { fields: { rating: number() } } },
});
definePlugin({
  ...declared,
  // @ts-expect-error no such part of a CRM
  part: 'operativ',
});
definePlugin({
  ...declared,
  // @ts-expect-error a language lacks a text that English has
  locales: { en: { 'plugin.late': 'Late' }, de: {} },
});

// Misspelt in a server ------------------------------------------------------

const actions = { item: { sell: () => undefined, keep: () => undefined } };
// @ts-expect-error no handlers for the declared actions
defineServer(shop, {});
// @ts-expect-error one handler is missing
defineServer(shop, { actions: { item: { sell: () => undefined } } });
// @ts-expect-error a handler that nobody declared
defineServer(shop, { actions: { item: { ...actions.item, sel: () => undefined } } });
// @ts-expect-error handlers of an object without actions
defineServer(shop, { actions: { ...actions, plain: { sell: () => undefined } } });
// @ts-expect-error a guard of an object that there is not
defineServer(shop, { actions, guards: { itme: () => undefined } });
// @ts-expect-error a guard sets a field that there is not
defineServer(shop, { actions, guards: { item: () => ({ set: { totl: null } }) } });
// @ts-expect-error a guard sets a value of another type
defineServer(shop, { actions, guards: { item: () => ({ set: { total: 7 } }) } });
defineServer(shop, {
  actions,
  guards: {
    item: ({ record }) => {
      // @ts-expect-error a guard reads a field that there is not
      return { problems: record.nmae ? [{ code: 'x', message: 'x' }] : [] };
    },
  },
});
defineServer(shop, {
  actions: {
    item: {
      keep: () => undefined,
      // @ts-expect-error a handler answers a field that there is not
      sell: () => ({ stge: 'won' }),
    },
  },
});
defineServer(shop, {
  actions: {
    item: {
      keep: () => undefined,
      // @ts-expect-error a handler answers an option that there is not
      sell: () => ({ stage: 'wno' as const }),
    },
  },
});
defineServer(shop, {
  actions: {
    item: {
      keep: ({ input }) => {
        // @ts-expect-error this action has no input
        void input.to;
        return undefined;
      },
      sell: async ({ input }, ctx) => {
        // @ts-expect-error an input that was not declared
        void input.form;
        // @ts-expect-error an object that is neither this plugin's nor of one that it needs
        await ctx.records.create('base.person', {});
        // @ts-expect-error a field that the object does not have
        await ctx.records.create('base.company', { nmae: 'x' });
        // @ts-expect-error a value of another type
        await ctx.records.patch('base.company', 'x', { size: '3' });
        return undefined;
      },
    },
  },
});

// Misspelt in a client ------------------------------------------------------

const load = (): Promise<{ default: unknown }> => Promise.resolve({ default: undefined });
defineClient(shop, { 'record.panel': [{ id: 'p', title: 'plugin.shop', object: 'base.company', load }] });
// @ts-expect-error no such slot
defineClient(shop, { 'record.pannel': [{ id: 'p', title: 'plugin.shop', object: 'shop.item', load }] });
// @ts-expect-error a title that is in no catalogue
defineClient(shop, { 'record.tab': [{ id: 'p', title: 'plugin.shpo', object: 'shop.item', load }] });
// @ts-expect-error an object that the plugin does not know
defineClient(shop, { 'record.tab': [{ id: 'p', title: 'plugin.shop', object: 'shop.itme', load }] });

// People from outside --------------------------------------------------------

const desk = definePlugin({
  id: 'desk',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'collaborative',
  needs: [need(base, '^1.0.0')],
  locales: { en: { 'plugin.desk': 'Desk', 'audience.agent': 'Agent' } },
  audiences: { agent: { icon: 'x', of: 'base.company' } },
  objects: {
    ticket: object({
      icon: 'x',
      title: ['name'],
      fields: { name: text(), agent: ref('base.company', { mode: 'restricted' }), size: number({ mode: 'derived', lookup: 'agent.size' }) },
      actions: { close: action({}) },
    }),
  },
  portals: {
    agent: {
      objects: {
        'desk.ticket': { rows: company('agent'), read: ['name', 'agent', 'base__more'], write: ['name'], actions: ['close'] },
        'base.company': { rows: company('id'), read: ['name'] },
      },
      pages: { all: { object: 'desk.ticket', icon: 'x', columns: ['name'] } },
      start: { changed: ['desk.ticket'] },
    },
  },
});
defineServer(desk, {
  actions: { ticket: { close: () => ({ name: 'closed' }) } },
  effects: {
    ticket: async (changes, { asPlugin }) => {
      for (const { id, before, record } of changes) {
        is<string | null>()(record.name);
        is<number | null | undefined>()(before?.size);
        await asPlugin.patch('base.company', id, { size: 1 });
      }
    },
  },
});
const outside = { id: 'o', version: '1.0.0', sdk: '^1.0.0', part: 'collaborative', locales: { en: {} } } as const;
definePlugin({
  ...outside,
  needs: [need(base, '^1.0.0')],
  // @ts-expect-error an audience of an object that is not known
  audiences: { agent: { icon: 'x', of: 'base.compny' } },
});
definePlugin({
  ...outside,
  needs: [need(base, '^1.0.0')],
  // @ts-expect-error a portal to an object that is not known
  portals: { agent: { objects: { 'base.compny': { rows: everyone, read: [] } } } },
});
definePlugin({
  ...outside,
  needs: [need(base, '^1.0.0')],
  // @ts-expect-error a field that the object does not have
  portals: { agent: { objects: { 'base.company': { rows: everyone, read: ['nmae'] } } } },
});
definePlugin({
  ...outside,
  needs: [need(desk, '^1.0.0')],
  // @ts-expect-error an action that the object does not have
  portals: { agent: { objects: { 'desk.ticket': { rows: everyone, read: [], actions: ['clsoe'] } } } },
});
definePlugin({
  ...outside,
  needs: [need(base, '^1.0.0')],
  // @ts-expect-error rows are what a portal cannot be without
  portals: { agent: { objects: { 'base.company': { read: ['name'] } } } },
});
definePlugin({
  ...outside,
  needs: [need(base, '^1.0.0')],
  // @ts-expect-error a page of an object that is not known
  portals: { agent: { objects: {}, pages: { all: { object: 'base.compny', icon: 'x', columns: [] } } } },
});
defineServer(desk, {
  actions: { ticket: { close: () => undefined } },
  // @ts-expect-error effects of an object that the plugin does not have
  effects: { tickt: async () => undefined },
});

// Settings --------------------------------------------------------------------

const told = definePlugin({
  ...declared,
  settings: { fee: number({ default: 2 }), site: text(), tone: select({ options: { loud: {}, low: {} } }), apiKey: secret() },
});
defineServer(told, {
  start: async (ctx) => {
    const settings = await ctx.settings();
    is<number>()(settings.fee);
    is<string | null>()(settings.site);
    is<'loud' | 'low' | null>()(settings.tone);
    is<string | null>()((await ctx.secrets()).apiKey);
    // @ts-expect-error a secret is no setting
    void settings.apiKey;
  },
});

// Metrics ---------------------------------------------------------------------

definePlugin({
  ...declared,
  needs: [need(shop, '^1.0.0')],
  metrics: { n: { object: 'shop.item' }, worth: { object: 'shop.item', sum: 'price', by: 'company.name' } },
});
definePlugin({
  ...declared,
  needs: [need(shop, '^1.0.0')],
  // @ts-expect-error a metric over an object that is not known
  metrics: { n: { object: 'shop.itme' } },
});
definePlugin({
  ...declared,
  needs: [need(shop, '^1.0.0')],
  // @ts-expect-error a sum of a field that is neither money nor number
  metrics: { n: { object: 'shop.item', sum: 'name' } },
});

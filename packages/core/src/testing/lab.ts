/** A plugin for tests: an object with every type of field, one that others point at, and one whose rows have owners. */
import {
  action,
  address,
  anyOf,
  anyRef,
  boolean,
  date,
  dateTime,
  definePlugin,
  defineServer,
  email,
  everyone,
  longText,
  money,
  multiSelect,
  number,
  object,
  owner,
  phone,
  ref,
  refs,
  richText,
  role,
  select,
  text,
  url,
  user,
} from '@kith/sdk';

export const lab = definePlugin({
  id: 'lab',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  locales: { en: { 'plugin.lab': 'Laboratory' } },
  objects: {
    thing: object({
      icon: 'box',
      title: ['name'],
      search: ['name', 'country'],
      fields: {
        name: text({ required: true, indexed: true }),
        country: text(),
        parent: ref('lab.thing'),
      },
    }),
    sample: object({
      icon: 'test-tube',
      title: ['name', 'thing'],
      search: ['name', 'code'],
      unique: [['code']],
      stages: 'stage',
      fields: {
        name: text({ required: true, max: 50, indexed: true }),
        code: text(),
        memo: longText(),
        story: richText(),
        amount: number({ min: -1000, max: 1000, indexed: true }),
        pieces: number({ integer: true }),
        price: money({ min: 0 }),
        done: boolean(),
        day: date({ indexed: true }),
        at: dateTime(),
        stage: select({ options: { begun: {}, tried: {}, over: {} } }),
        tags: multiSelect({ options: { red: {}, green: {}, blue: {} } }),
        mail: email(),
        tel: phone(),
        site: url(),
        home: address(),
        thing: ref('lab.thing'),
        things: refs('lab.thing'),
        about: anyRef(),
        who: user(),
        double: number({ mode: 'derived' }),
        stock: number({ mode: 'arbitrated', integer: true, default: 0 }),
        serial: text({ sequence: { start: 100, prefix: 'S-' } }),
      },
      actions: {
        take: action({ input: { pieces: number({ required: true, integer: true, min: 1 }), why: text() } }),
        close: action({ permission: role('admin', 'manager') }),
      },
    }),
    diary: object({
      icon: 'book',
      title: ['text'],
      fields: { text: text({ required: true }), who: user({ default: 'creator' }), open: boolean({ default: false }) },
      access: {
        read: anyOf(owner('who'), { field: 'open', op: 'eq', value: true }, role('admin')),
        create: everyone,
        update: owner('who'),
        delete: role('admin'),
      },
    }),
    vault: object({
      icon: 'lock',
      title: ['name'],
      search: ['name'],
      fields: { name: text({ required: true }) },
      access: { read: role('admin'), create: role('admin'), update: role('admin'), delete: role('admin') },
    }),
  },
});

export const labServer = defineServer(lab, {
  guards: {
    sample: ({ record }) => {
      if (record.name === 'guarded') return { problems: [{ field: 'name', code: 'invalid', message: 'is not for you' }] };
      return { set: { double: record.amount === null ? null : record.amount * 2 } };
    },
  },
  actions: {
    sample: {
      take: ({ record, input, refuse }) => {
        const left = (record.fields.stock ?? 0) - (input.pieces ?? 0);
        return left < -10 ? refuse('More than ten cannot be owed.', 'pieces') : { stock: left, memo: input.why };
      },
      close: () => ({ stage: 'over' }),
    },
  },
  importers: {
    names: {
      title: 'plugin.lab',
      object: 'lab.sample',
      accepts: ['.json'],
      *read({ data }) {
        const { names } = JSON.parse(new TextDecoder().decode(data)) as { names: string[] };
        for (const [at, name] of names.entries()) yield { where: `name ${at + 1}`, fields: { name } };
      },
    },
  },
});

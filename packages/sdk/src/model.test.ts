import { describe, expect, it } from 'vitest';
import {
  action,
  buildModel,
  company,
  definePlugin,
  labelKeys,
  longText,
  ModelError,
  need,
  not,
  number,
  object,
  permission,
  ref,
  select,
  text,
  type AnyPlugin,
  type PortalObject,
} from './index.ts';

const en = { 'plugin.a': 'A' };
const a = definePlugin({
  id: 'a',
  version: '1.2.0',
  sdk: '^1.0.0',
  part: 'operational',
  locales: { en },
  objects: { thing: object({ icon: 'box', title: ['name'], fields: { name: text(), kind: select({ options: { x: {} } }) } }) },
});
const b = definePlugin({
  id: 'b',
  version: '1.0.0',
  sdk: '^1.0.0',
  part: 'operational',
  needs: [need(a, '^1.0.0')],
  locales: { en },
  objects: { part: object({ icon: 'box', title: ['name'], fields: { name: text(), of: ref('a.thing') } }) },
  extend: { 'a.thing': { fields: { colour: text() }, options: { kind: { y: {} } } } },
});

describe('buildModel', () => {
  it('resolves plugins in any order, with extensions and incoming references', () => {
    const model = buildModel([b, a]);
    expect([...model.objects.keys()]).toEqual(['a.thing', 'b.part']);
    const thing = model.objects.get('a.thing')!;
    expect([...thing.fields.keys()]).toEqual(['name', 'kind', 'b__colour']);
    expect(thing.fields.get('kind')?.optionPlugins).toEqual({ x: 'a', y: 'b' });
    expect(model.incoming.get('a.thing')?.map((one) => one.field.name)).toEqual(['of']);
    // The declaration itself is left as it was.
    expect(Object.keys(a.objects.thing.fields.kind.options)).toEqual(['x']);
  });

  it.each([
    ['a plugin twice', [a, a], /"a": is installed twice/],
    ['a missing need', [b], /needs "a" \^1\.0\.0, which is not installed/],
    ['a need out of range', [b, { ...a, version: '2.0.0' }], /installed is 2\.0\.0/],
    ['an SDK out of range', [{ ...a, sdk: '^2.0.0' }], /was written for SDK \^2\.0\.0, this is 1\.0\.0/],
    ['a reserved id', [{ ...a, id: 'kith' }], /its id must be/],
    ['a wrong version', [{ ...a, version: 'one' }], /not of the form 1\.2\.3/],
    [
      'a title that is no field',
      [{ ...a, objects: { thing: { ...a.objects.thing, title: ['nmae'] } } }],
      /names a field "nmae" that it does not have/,
    ],
    [
      'a reference into nothing',
      [{ ...a, objects: { thing: { ...a.objects.thing, fields: { ...a.objects.thing.fields, x: ref('z.q') } } } }],
      /refers in "x" to "z\.q"/,
    ],
    [
      'a field with the name of a system column',
      [{ ...a, objects: { thing: { ...a.objects.thing, fields: { ...a.objects.thing.fields, version: text() } } } }],
      /field "version" of a\.thing must be/,
    ],
    [
      'a permission for a role that there is not',
      [{ ...a, permissions: { x: { roles: ['boss' as 'admin'] } } }],
      /permission "x" is for "boss"/,
    ],
    ['a permission with a bad name', [{ ...a, permissions: { 'x-y': { roles: [] } } }], /permission "x-y" must be a word in camelCase/],
    [
      'an access by a permission that was not declared',
      [{ ...a, objects: { thing: { ...a.objects.thing, access: { read: not(permission('x')) } } } }],
      /access of a\.thing names the permission "x"; declare it under permissions/,
    ],
    [
      'an action by a permission that was not declared',
      [{ ...a, objects: { thing: { ...a.objects.thing, actions: { go: action({ permission: permission('x') }) } } } }],
      /action a\.thing\.go names the permission "x"/,
    ],
    ['a setting of a wrong kind', [{ ...a, settings: { x: ref('a.thing') } }], /setting "x" is of type ref; use one of text,/],
    ['a setting that must be there', [{ ...a, settings: { x: text({ required: true }) } }], /setting "x" has "required"/],
    ['a setting with a bad name', [{ ...a, settings: { 'x-y': text() } }], /setting "x-y" must be a word in camelCase/],
    [
      'a default that does not fit',
      [{ ...a, settings: { x: number({ min: 5, default: 2 }) } }],
      /setting "x" has a default that must be at least 5/,
    ],
  ])('refuses %s and says what to do', (_what, plugins, message) => {
    expect(() => buildModel(plugins as AnyPlugin[])).toThrow(ModelError);
    expect(() => buildModel(plugins as AnyPlugin[])).toThrow(message);
  });
});

describe('portals', () => {
  const en2 = { 'plugin.c': 'C' };
  /** A plugin that opens an object as told. */
  const opened = (portal: Partial<PortalObject>, more: Partial<AnyPlugin> = {}): AnyPlugin => ({
    id: 'c',
    version: '1.0.0',
    sdk: '^1.0.0',
    part: 'collaborative',
    locales: { en: en2 },
    audiences: { agent: { icon: 'x', of: 'c.firm' } },
    objects: {
      firm: object({ icon: 'x', title: ['name'], fields: { name: text() } }),
      job: object({
        icon: 'x',
        title: ['name'],
        unique: [['code']],
        fields: {
          name: text(),
          code: text({ mode: 'restricted' }),
          note: longText(),
          memo: longText(),
          firm: ref('c.firm', { mode: 'restricted' }),
          live: ref('c.firm'),
          other: ref('c.job', { mode: 'restricted' }),
          sum: number({ mode: 'derived' }),
          state: select({ options: { x: {} }, mode: 'arbitrated' }),
        },
      }),
    },
    portals: { agent: { objects: { 'c.job': { rows: company('firm'), read: ['name', 'firm'], ...portal } } } },
    ...more,
  });

  it('give documents to classes of fields with the same readers', () => {
    const facets = (plugin: AnyPlugin): [string, string[]][] =>
      buildModel([plugin])
        .objects.get('c.job')!
        .facets.map(({ name, fields }) => [name, [...fields]]);
    expect(facets(opened({ read: ['name', 'note'], write: ['note'] }))).toEqual([
      ['staff', ['memo', 'live']],
      ['agent-r', ['name']],
      ['agent-rw', ['note']],
    ]);
    const second = { bank: { icon: 'x', of: 'c.firm' }, agent: { icon: 'x', of: 'c.firm' } };
    const portals = {
      agent: { objects: { 'c.job': { rows: company('firm'), read: ['name', 'note'] } } },
      bank: { objects: { 'c.job': { rows: company('firm'), read: ['note'], write: ['note'] } } },
    };
    expect(facets(opened({}, { audiences: second, portals })).map(([name]) => name)).toEqual(['staff', 'agent-r', 'agent-r.bank-rw']);
  });

  it.each([
    ['an audience called staff', opened({}, { audiences: { staff: { icon: 'x' } } }), /audience "staff" must be a free word/],
    [
      'an audience of nothing',
      opened({}, { audiences: { agent: { icon: 'x', of: 'z.q' } } }),
      /is of "z\.q", which no installed plugin declares/,
    ],
    ['a portal for nobody', opened({}, { audiences: {} }), /for an audience that no installed plugin declares/],
    ['rows by a permission', opened({ rows: permission('x') }), /decides c\.job by a permission, which only staff have/],
    ['a field that is not there', opened({ read: ['nmae'] }), /names a field "nmae"/],
    ['an action that is not there', opened({ actions: ['go'] }), /names an action "go"/],
    ['writing without reading', opened({ write: ['memo'] }), /lets "memo" be written but not read/],
    ['writing what is computed', opened({ read: ['sum'], write: ['sum'] }), /lets "sum" be written, which is derived/],
    ['writing what an action decides', opened({ read: ['state'], write: ['state'] }), /which is arbitrated/],
    ['writing what decides the rows', opened({ write: ['firm'] }), /lets "firm" be written, which decides what it sees/],
    ['rows by a live field', opened({ rows: company('live'), read: ['name'] }), /decides by "live", which is live/],
    ['a company that is none', opened({ rows: company('other') }), /compares "other" with the company/],
    ['rows by what is no company', opened({ rows: company('code') }), /compares "code" with the company/],
    ['a unique field to write', opened({ read: ['name', 'code'], create: ['code'] }), /which is unique: a refusal would tell/],
    [
      'a page of what is not opened',
      opened({}, { portals: { agent: { objects: {}, pages: { all: { object: 'c.job', icon: 'x', columns: [] } } } } }),
      /shows c\.job, which it does not open/,
    ],
    [
      'a page sorted by what is hidden',
      opened(
        {},
        {
          portals: {
            agent: {
              objects: { 'c.job': { rows: company('firm'), read: ['name'] } },
              pages: { all: { object: 'c.job', icon: 'x', columns: ['name'], sort: ['-memo'] } },
            },
          },
        },
      ),
      /shows or sorts by "memo" of c\.job/,
    ],
    [
      'a selection by what is hidden',
      opened(
        {},
        {
          portals: {
            agent: {
              objects: { 'c.job': { rows: company('firm'), read: ['name'] } },
              start: { late: [{ object: 'c.job', filter: { not: { field: 'sum', op: 'gt', value: 1 } } }] },
            },
          },
        },
      ),
      /shows or sorts by "sum"/,
    ],
  ])('refuse %s and say what to do', (_what, plugin, message) => {
    expect(() => buildModel([plugin])).toThrow(ModelError);
    expect(() => buildModel([plugin])).toThrow(message);
  });

  it.each([
    ['a lookup of nothing', { x: text({ mode: 'derived', lookup: 'of.nmae' }) }, /which is no field of a record/],
    ['a lookup of another type', { x: number({ mode: 'derived', lookup: 'of.name' }) }, /which is of another type/],
    ['a lookup of a live field', { x: text({ mode: 'derived', lookup: 'of.name' }) }, /must be derived, and neither/],
    ['a lookup that could be written', { x: text({ lookup: 'of.code' }) }, /must be derived, and neither/],
    ['a lookup by a live reference', { x: text({ mode: 'derived', lookup: 'live.code' }) }, /must be derived, and neither/],
  ])('refuses %s', (_what, fields, message) => {
    const plugin = {
      ...a,
      objects: {
        thing: object({
          icon: 'x',
          title: ['name'],
          fields: {
            name: text(),
            code: text({ mode: 'restricted' }),
            of: ref('a.thing', { mode: 'restricted' }),
            live: ref('a.thing'),
            ...fields,
          },
        }),
      },
    };
    expect(() => buildModel([plugin as AnyPlugin])).toThrow(message);
  });
});

describe('metrics', () => {
  const measured = (metrics: AnyPlugin['metrics'], more: Partial<AnyPlugin> = {}): AnyPlugin => ({ ...b, metrics, ...more }) as AnyPlugin;

  it('count or sum what the plugin knows, by values or over time', () => {
    const fine = {
      n: { object: 'b.part' },
      by: { object: 'b.part', by: 'of.kind', filter: { field: 'of.name', op: 'ne' as const, value: 'x' } },
    };
    expect(buildModel([a, measured({ ...fine, time: { object: 'a.thing', over: 'createdAt' } })]).plugins.size).toBe(2);
    expect(labelKeys(measured(fine))).toContain('metric.by');
  });

  it.each([
    ['of nothing', { object: 'z.q' }, /metric "m" is of "z\.q", which no installed plugin declares/],
    ['a sum of a text', { object: 'b.part', sum: 'name' }, /sums "name", which is no money or number field of b\.part/],
    ['by what is not there', { object: 'b.part', by: 'of.nmae' }, /is drawn by "of\.nmae"; name a text, select/],
    ['over what is no date', { object: 'b.part', over: 'name' }, /is drawn over "name"; name a date of b\.part/],
    ['both', { object: 'b.part', by: 'name', over: 'createdAt' }, /has both "by" and "over"/],
    ['a filter by nothing', { object: 'b.part', filter: { field: 'q', op: 'isNull' as const, value: true } }, /filters by "q"/],
  ])('refuse %s and say what to do', (_what, metric, message) => {
    expect(() => buildModel([a, measured({ m: metric })])).toThrow(message);
  });

  it('refuse an object of a plugin that is not needed', () => {
    const other = definePlugin({ id: 'c', version: '1.0.0', sdk: '^1.0.0', part: 'operational', locales: { en } });
    expect(() => buildModel([a, { ...other, metrics: { m: { object: 'a.thing' } } }])).toThrow(/list "a" under needs/);
  });
});

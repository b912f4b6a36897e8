import { describe, expect, it } from 'vitest';
import { buildModel, definePlugin, ModelError, need, object, ref, select, text, type AnyPlugin } from './index.ts';

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
  ])('refuses %s and says what to do', (_what, plugins, message) => {
    expect(() => buildModel(plugins as AnyPlugin[])).toThrow(ModelError);
    expect(() => buildModel(plugins as AnyPlugin[])).toThrow(message);
  });
});

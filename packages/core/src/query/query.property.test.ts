/**
 * Lists against a plain reading of the same words in JavaScript: random
 * filters, sorts and rules over random rows give the same records in the same
 * order, page by page, and the predicate that only prefilters never contradicts SQL.
 */
import fc from 'fast-check';
import {
  operatorsFor,
  type Address,
  type Comparison,
  type FieldValue,
  type Filter,
  type ModelObject,
  type Money,
  type Operator,
  type Principal,
  type Rec,
  type Role,
  type Rule,
} from '@kith/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { can, matches } from '../access/filter.ts';
import { SYSTEM } from '../principal.ts';
import { createTestWorld, type TestWorld } from '../testing.ts';
import { lab, labServer } from '../testing/lab.ts';

const LONG = process.env.KITH_LONG === '1';
const RUNS = LONG ? 5_000 : 300;
const ROWS = 90;

let world: TestWorld;
let sample: ModelObject;
let rows: Rec[];
let things: Rec[];
let users: string[];

const NAMES = ['a', 'ab', 'abc', 'b', 'ba', 'c'];
const AMOUNTS = [-2, -0.5, 0, 0.25, 1, 3];
const MONEY: Money[] = [
  { amount: '1.00', currency: 'EUR' },
  { amount: '1.00', currency: 'USD' },
  { amount: '2.50', currency: 'EUR' },
  { amount: '10.00', currency: 'EUR' },
];
const DAYS = ['2025-12-31', '2026-01-01', '2026-11-21'];
const TIMES = ['2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.001Z', '2026-06-01T12:00:00.000Z'];
const STAGES = ['begun', 'tried', 'over'];
const TAGS = ['red', 'green', 'blue'];
const MAILS = ['a@x.example', 'b@x.example'];
const CITIES: Address[] = [{ city: 'Graz' }, { city: 'Linz', country: 'Austria' }];
const COUNTRIES = ['austria', 'peru'];

const maybe = <T>(values: readonly T[]): fc.Arbitrary<T | null> => fc.option(fc.constantFrom(...values), { freq: 3 });
const someOf = <T>(values: readonly T[]): fc.Arbitrary<T[]> => fc.subarray([...values], { minLength: 1 });

beforeAll(async () => {
  world = await createTestWorld({ plugins: [lab], servers: [labServer] });
  sample = world.object('lab.sample');
  users = [world.me.id, (await world.person('Nancy')).id, (await world.person('Andrew')).id];
  things = await world.runtime.records.createMany(
    world.actor,
    world.object('lab.thing'),
    [COUNTRIES[0]!, COUNTRIES[1]!, null, COUNTRIES[0]!].map((country, i) => ({ name: `thing ${i}`, country })),
  );
  const ids = things.map((one) => one.id);
  const row = fc.record({
    name: fc.constantFrom(...NAMES),
    memo: maybe(['Straße', 'one\ntwo', 'Hundert %']),
    amount: maybe(AMOUNTS),
    pieces: maybe([1, 2]),
    price: maybe(MONEY),
    done: maybe([true, false]),
    day: maybe(DAYS),
    at: maybe(TIMES),
    stage: maybe(STAGES),
    tags: fc.option(someOf(TAGS)),
    mail: maybe(MAILS),
    home: maybe(CITIES),
    thing: maybe(ids),
    things: fc.option(someOf(ids)),
    about: maybe(ids.map((id) => ({ object: 'lab.thing', id }))),
    who: maybe(users),
  });
  const input = fc.sample(row, { numRuns: ROWS, seed: 20261121 });
  rows = await world.runtime.records.createMany(world.actor, sample, input);
  // Some in the bin, which no list may show.
  for (const rec of rows.splice(0, 5)) await world.runtime.records.remove(world.actor, sample, rec.id);
});
afterAll(() => world.close());

// The plain reading ---------------------------------------------------------

/** As `kith.fold` folds, for the letters used here. */
const fold = (text: string): string =>
  text
    .normalize('NFD')
    .replace(/\p{Mark}/gu, '')
    .replaceAll('ß', 'ss')
    .toLowerCase();
const asText = (value: FieldValue): string => (typeof value === 'object' ? JSON.stringify(value) : String(value));

/** Where a value stands in its order. */
function rank(type: string, value: FieldValue): number | string {
  if (type === 'money') return Number((value as Money).amount);
  if (type === 'dateTime') return Date.parse(value as string);
  if (type === 'boolean') return value ? 1 : 0;
  return value as number | string;
}

function equal(type: string, have: FieldValue, want: unknown): boolean {
  if (type === 'money') {
    const money = want as Money | string | number;
    const amount = typeof money === 'object' ? money.amount : money;
    return Number((have as Money).amount) === Number(amount) && (typeof money !== 'object' || money.currency === (have as Money).currency);
  }
  if (type === 'multiSelect' || type === 'refs') {
    const set = new Set(have as string[]);
    const wanted = new Set((Array.isArray(want) ? want : [want]) as string[]);
    return set.size === wanted.size && [...set].every((one) => wanted.has(one));
  }
  if (type === 'anyRef') return (have as { id: string }).id === (want as { id: string }).id;
  return rank(type, have) === rank(type, want as FieldValue);
}

/** What a path or a name leads to, with its type; null when there is nothing at its end. */
function valueAt(rec: Rec, path: string): { type: string; value: FieldValue } {
  const [first, ...rest] = path.split('.');
  if (rest.length === 0) return { type: sample.fields.get(path)!.type, value: rec.fields[path]! };
  const target = things.find((one) => one.id === rec.fields[first!]);
  return { type: 'text', value: target ? target.fields[rest[0]!]! : null };
}

function fitsLeaf(rec: Rec, { field, op, value }: Comparison): boolean {
  const { type, value: have } = valueAt(rec, field);
  const set = type === 'multiSelect' || type === 'refs';
  switch (op) {
    case 'isNull':
      return (have === null) === (value ?? true);
    case 'ne':
      return !fitsLeaf(rec, { field, op: 'eq', value: value! });
    case 'nin':
      return !fitsLeaf(rec, { field, op: 'in', value: value! });
    case 'eq':
      return value === null ? have === null : have !== null && equal(type, have, value);
    case 'in':
      if (have === null) return false;
      return (value as unknown[]).some((one) => (set ? (have as string[]).includes(one as string) : equal(type, have, one)));
    case 'contains':
      if (have === null) return false;
      if (set) return ((Array.isArray(value) ? value : [value]) as string[]).every((one) => (have as string[]).includes(one));
      return fold(asText(have)).includes(fold(value as string));
    case 'startsWith':
      return have !== null && fold(have as string).startsWith(fold(value as string));
    case 'between': {
      const [low, high] = value as FieldValue[];
      return fitsLeaf(rec, { field, op: 'gte', value: low! }) && fitsLeaf(rec, { field, op: 'lte', value: high! });
    }
    default: {
      if (have === null) return false;
      const money = value as Money;
      if (type === 'money' && typeof value === 'object' && money.currency !== (have as Money).currency) return false;
      const a = rank(type, have);
      const b = type === 'money' && typeof value !== 'object' ? Number(value) : rank(type, value as FieldValue);
      return op === 'lt' ? a < b : op === 'lte' ? a <= b : op === 'gt' ? a > b : a >= b;
    }
  }
}

function fits(rec: Rec, filter: Filter): boolean {
  if ('and' in filter) return filter.and.every((one) => fits(rec, one));
  if ('or' in filter) return filter.or.some((one) => fits(rec, one));
  if ('not' in filter) return !fits(rec, filter.not);
  return fitsLeaf(rec, filter);
}

/** Empty values last, whichever way; the id decides, in the direction of the first key. */
function inOrder(recs: readonly Rec[], sort: readonly string[]): string[] {
  const keys = sort.map((key) => ({ name: key.replace(/^-/, ''), sign: key.startsWith('-') ? -1 : 1 }));
  const last = keys[0]?.sign ?? -1;
  return recs
    .toSorted((a, b) => {
      for (const { name, sign } of keys) {
        const { type } = sample.fields.get(name)!;
        const [x, y] = [a.fields[name]!, b.fields[name]!];
        if (x === null && y === null) continue;
        if (x === null) return 1;
        if (y === null) return -1;
        const [p, q] = [rank(type, x), rank(type, y)];
        if (p !== q) return p < q ? -sign : sign;
      }
      return a.id < b.id ? -last : last;
    })
    .map((rec) => rec.id);
}

// What is asked -------------------------------------------------------------

/** A value to compare a field with. */
function operand(name: string): fc.Arbitrary<unknown> {
  const ids = things.map((one) => one.id);
  const known: Record<string, fc.Arbitrary<unknown>> = {
    name: fc.constantFrom(...NAMES, 'zz'),
    amount: fc.constantFrom(...AMOUNTS, 0.1, 7),
    pieces: fc.constantFrom(1, 2, 3),
    price: fc.oneof(fc.constantFrom(...MONEY), fc.constantFrom('1', '2.5', 2.5, 10)),
    done: fc.boolean(),
    day: fc.constantFrom(...DAYS, '2026-02-28'),
    at: fc.constantFrom(...TIMES, '2026-01-01T01:00:00+01:00'),
    stage: fc.constantFrom(...STAGES),
    mail: fc.constantFrom(...MAILS),
    thing: fc.constantFrom(...ids),
    who: fc.constantFrom(...users),
    about: fc.constantFrom(...ids.map((id) => ({ object: 'lab.thing', id }))),
    'thing.country': fc.constantFrom(...COUNTRIES, 'chile'),
    'thing.name': fc.constantFrom('thing 0', 'thing 3'),
  };
  return known[name]!;
}
const SETS: Record<string, () => string[]> = { tags: () => TAGS, things: () => things.map((one) => one.id) };
const PIECES = ['a', 'B', 'ä', 'ss', '%', '_', 'x.ex', 'wo', 'ing', 'ü', 'GRAZ', ''];
const TYPES: Record<string, string> = { 'thing.country': 'text', 'thing.name': 'text' };

const leaf = (names: readonly string[]): fc.Arbitrary<Comparison> =>
  fc.constantFrom(...names).chain((field) => {
    const type = TYPES[field] ?? sample.fields.get(field)!.type;
    return fc.constantFrom(...operatorsFor(type as never)).chain((op: Operator) => {
      const make = (value: fc.Arbitrary<unknown>): fc.Arbitrary<Comparison> =>
        value.map((one) => ({ field, op, value: one as FieldValue }));
      const set = SETS[field];
      if (op === 'isNull') return make(fc.boolean());
      if (set) {
        if (op === 'eq' || op === 'ne') return make(fc.oneof(someOf(set()), fc.constantFrom(...set()), fc.constant(null)));
        return make(op === 'contains' ? fc.oneof(someOf(set()), fc.constantFrom(...set())) : someOf(set()));
      }
      if (op === 'contains' || op === 'startsWith') return make(fc.constantFrom(...PIECES));
      const one = operand(field);
      if (op === 'in' || op === 'nin') return make(fc.array(one, { minLength: 1, maxLength: 3 }));
      if (op === 'between') return make(fc.tuple(one, one));
      if (op === 'eq' || op === 'ne') return make(fc.oneof({ weight: 6, arbitrary: one }, { weight: 1, arbitrary: fc.constant(null) }));
      return make(one);
    });
  });
const FILTERED = [
  'name',
  'memo',
  'amount',
  'pieces',
  'price',
  'done',
  'day',
  'at',
  'stage',
  'tags',
  'mail',
  'home',
  'thing',
  'things',
  'about',
  'who',
  'thing.country',
  'thing.name',
];
const filters = (): fc.Arbitrary<Filter> =>
  fc.letrec<{ filter: Filter }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 3 },
      { weight: 4, arbitrary: leaf(FILTERED) },
      { weight: 1, arbitrary: fc.record({ and: fc.array(tie('filter'), { maxLength: 3 }) }) },
      { weight: 1, arbitrary: fc.record({ or: fc.array(tie('filter'), { maxLength: 3 }) }) },
      { weight: 1, arbitrary: fc.record({ not: tie('filter') }) },
    ),
  })).filter;
const SORTED = ['name', 'amount', 'pieces', 'price', 'done', 'day', 'at', 'stage', 'mail'];
const sorts = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...SORTED.filter((name) => name !== 'mail')), fc.boolean()), {
    selector: ([name]) => name,
    maxLength: 3,
  })
  .map((keys) => keys.map(([name, down]) => (down ? `-${name}` : name)));

async function pages(sort: readonly string[], filter: Filter | undefined, limit: number): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await world.runtime.query.list(SYSTEM, sample, {
      sort,
      limit,
      fields: [],
      ...(filter ? { filter } : {}),
      ...(cursor === undefined ? {} : { cursor }),
    });
    ids.push(...page.data.map((rec) => rec.id));
    cursor = page.nextCursor ?? undefined;
    expect(page.data.length <= limit && (cursor === undefined || page.data.length === limit)).toBe(true);
  } while (cursor !== undefined && ids.length <= ROWS);
  return ids;
}

it('lists what a plain reading of filter and sort lists, in its order, and counts it', async () => {
  await fc.assert(
    fc.asyncProperty(filters(), sorts, async (filter, sort) => {
      const wanted = inOrder(
        rows.filter((rec) => fits(rec, filter)),
        sort,
      );
      const page = await world.runtime.query.list(SYSTEM, sample, { filter, sort, limit: 500, count: 'capped' });
      expect(page.data.map((rec) => rec.id)).toEqual(wanted);
      expect(page).toMatchObject({ nextCursor: null, count: wanted.length, countCapped: false });
    }),
    { numRuns: RUNS },
  );
});

it('gives each record once, in order, however small the pages', async () => {
  await fc.assert(
    fc.asyncProperty(sorts, fc.integer({ min: 1, max: 20 }), fc.option(filters(), { nil: undefined }), async (sort, limit, filter) => {
      const wanted = inOrder(filter ? rows.filter((rec) => fits(rec, filter)) : rows, sort);
      expect(await pages(sort, filter, limit)).toEqual(wanted);
    }),
    { numRuns: LONG ? 500 : 40 },
  );
});

it('never decides a filter otherwise than SQL', async () => {
  let decided = 0;
  await fc.assert(
    fc.asyncProperty(filters(), async (filter) => {
      const page = await world.runtime.query.list(SYSTEM, sample, { filter, limit: 500, fields: [] });
      const listed = new Set(page.data.map((rec) => rec.id));
      for (const rec of rows) {
        const verdict = matches(sample, filter, rec.fields);
        if (verdict === undefined) continue;
        decided++;
        expect(verdict, JSON.stringify(rec.fields)).toBe(listed.has(rec.id));
      }
    }),
    { numRuns: RUNS },
  );
  expect(decided).toBeGreaterThan(RUNS * 10);
});

it('never decides a rule otherwise than SQL', async () => {
  const RULED = ['amount', 'done', 'day', 'stage', 'who', 'thing', 'tags', 'price', 'name'];
  const ops = new Set<Operator>(['contains', 'startsWith']);
  const rules = fc.letrec<{ rule: Rule }>((tie) => ({
    rule: fc.oneof(
      { maxDepth: 3 },
      { weight: 3, arbitrary: leaf(RULED).filter(({ op }) => !ops.has(op)) as fc.Arbitrary<Rule> },
      { weight: 2, arbitrary: fc.constantFrom<Rule>({ owner: 'who' }, { everyone: true }, { nobody: true }) },
      { weight: 1, arbitrary: fc.subarray<Role>(['admin', 'manager', 'member', 'reader']).map((role): Rule => ({ role })) },
      { weight: 1, arbitrary: fc.record({ and: fc.array(tie('rule'), { maxLength: 3 }) }) },
      { weight: 1, arbitrary: fc.record({ or: fc.array(tie('rule'), { maxLength: 3 }) }) },
      { weight: 1, arbitrary: fc.record({ not: tie('rule') }) },
    ),
  })).rule;
  const principals = fc.constantFrom(
    ...users.map((id, i): Principal => ({ id, kind: 'staff', name: `user ${i}`, roles: [(['admin', 'member', 'reader'] as const)[i]!] })),
  );
  await fc.assert(
    fc.asyncProperty(rules, principals, async (rule, principal) => {
      const ruled: ModelObject = { ...sample, access: { ...sample.access, read: rule } };
      const page = await world.runtime.query.list(principal, ruled, { limit: 500, fields: [] });
      const listed = new Set(page.data.map((rec) => rec.id));
      for (const rec of rows) {
        const verdict = can(ruled, principal, rule, rec.fields);
        if (verdict !== undefined) expect(verdict, JSON.stringify(rec.fields)).toBe(listed.has(rec.id));
      }
      // A negated rule lets in exactly the others: no leaf is neither.
      const others: ModelObject = { ...sample, access: { ...sample.access, read: { not: rule } } };
      const rest = await world.runtime.query.list(principal, others, { limit: 500, fields: [] });
      expect(rest.data.length + page.data.length).toBe(rows.length);
      for (const rec of rest.data) expect(listed.has(rec.id)).toBe(false);
    }),
    { numRuns: RUNS },
  );
});

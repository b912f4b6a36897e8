import type { ObjectMeta } from '@kith/ui/types.ts';
import { describe, expect, it } from 'vitest';
import { conditionsOf, filterOf } from '@kith/ui/filter/conditions.ts';
import { impliedBy, isChanged, readQuery, viewsOf, writeQuery, type ListView } from './query.ts';

const field = (name: string, type: ObjectMeta['fields'][number]['type'], more = {}): ObjectMeta['fields'][number] => ({
  name,
  type,
  label: name,
  required: false,
  mode: 'live',
  merge: 'register',
  operators: [],
  sortable: true,
  ...more,
});
const deal: ObjectMeta = {
  name: 'sales.deal',
  plugin: 'sales',
  part: 'operational',
  icon: 'handshake',
  nav: true,
  label: { one: 'Deal', many: 'Deals' },
  title: ['name'],
  search: true,
  fields: [field('name', 'text'), field('stage', 'select'), field('amount', 'money'), field('owner', 'user')],
  relations: [],
  actions: [],
  views: [
    { id: 'board', label: 'Board', type: 'board', columns: ['name', 'amount'], groupBy: 'stage', sum: 'amount', sort: ['amount'] },
    { id: 'mine', label: 'Mine', type: 'table', columns: ['name', 'stage'], filter: { field: 'owner', op: 'eq', value: 'me' } },
  ],
  stages: 'stage',
  facets: [],
  rights: { read: true, create: true, update: true, delete: true },
};
const views = viewsOf(deal, [], 'All');
const read = (text: string) => readQuery(deal, views, new URLSearchParams(text));
const viewOf = (id: string): ListView => views.find((view) => view.id === id) as ListView;

describe('a list in an address', () => {
  it('is its view where nothing else is said', () => {
    expect(read('')).toMatchObject({ view: 'board', type: 'board', groupBy: 'stage', sum: 'amount', sort: ['amount'], conditions: [] });
    expect(read('view=mine')).toMatchObject({ view: 'mine', type: 'table', conditions: [{ field: 'owner', op: 'eq', value: 'me' }] });
    expect(writeQuery(read(''), viewOf('board'), true, deal)).toBe('');
    expect(isChanged(read('view=mine'), viewOf('mine'), deal)).toBe(false);
  });

  it('goes there and back', () => {
    const query = { ...read('view=mine'), sort: ['-amount'], columns: ['name', 'amount'], conditions: [], search: 'ernst & co' };
    const address = writeQuery(query, viewOf('mine'), false, deal);
    expect(read(address.slice(1))).toEqual(query);
    expect(isChanged(query, viewOf('mine'), deal)).toBe(true);
  });

  it('leaves out what the object does not have, and survives nonsense', () => {
    const query = read('view=gone&sort=-nothing,name&columns=name,none&filter=%7Bnot json&type=map&group=owner');
    expect(query).toMatchObject({ view: 'board', sort: ['name'], columns: ['name'], type: 'table', groupBy: 'stage' });
  });
});

it('turns filters into chips and back', () => {
  const one = { field: 'stage', op: 'eq', value: 'won' } as const;
  expect(conditionsOf({ and: [one, { not: one }] })).toEqual([one, { not: one }]);
  expect(filterOf([one])).toEqual(one);
  expect(filterOf([])).toBeUndefined();
});

it('knows which values a new record needs to be in the list', () => {
  expect(
    impliedBy([
      { field: 'stage', op: 'in', value: ['won'] },
      { field: 'kind', op: 'contains', value: 'customer' },
      { field: 'owner', op: 'ne', value: 'x' },
      { field: 'company.city', op: 'eq', value: 'Graz' },
    ]),
  ).toEqual({ stage: 'won', kind: ['customer'] });
});

/**
 * What a list shows. The address holds it: a view, and what was changed in it.
 * So a reload, a colleague with the link and the back button all see the same.
 */
import type { FieldValue, Filter } from '@kith/sdk';
import { conditionsOf, filterOf, isComparison } from '@kith/ui/filter/conditions.ts';
import { isRelative, shownFields } from '@kith/ui/meta.ts';
import type { Api, Query as Params } from '@kith/ui/api.ts';
import type { Group, ObjectMeta, Page, Rec, Refs, SavedView, Total, ViewMeta } from '@kith/ui/types.ts';

export interface ListQuery {
  view: string;
  type: 'table' | 'board';
  columns: string[];
  /** Conditions that must all hold; each is a chip. */
  conditions: Filter[];
  sort: string[];
  groupBy: string | null;
  sum: string | null;
  search: string;
}

export interface ListView extends ViewMeta {
  saved?: SavedView;
}

export const PAGE_SIZE = 50;
/** The most that one request answers. */
export const MOST = 500;
const ALL = 'all';

/** The views of an object: its own, then the saved ones; at least one table. */
export function viewsOf(object: ObjectMeta, saved: readonly SavedView[], all: string): ListView[] {
  const own: ListView[] = object.views.map((view) => ({ ...view }));
  if (!own.some((view) => view.type === 'table')) {
    own.unshift({ id: ALL, label: all, type: 'table', columns: defaultColumns(object) });
  }
  return [...own, ...saved.map((view): ListView => ({ ...view, label: view.name, saved: view }))];
}

function defaultColumns(object: ObjectMeta): string[] {
  const rest = shownFields(object).filter(
    (field) => !object.title.includes(field.name) && field.type !== 'richText' && field.type !== 'longText',
  );
  return [...object.title, ...rest.slice(0, 7).map((field) => field.name)];
}

const known = (object: ObjectMeta, name: string): boolean =>
  shownFields(object).some((field) => field.name === name) || ['createdAt', 'updatedAt', 'createdBy', 'updatedBy'].includes(name);

/** Reads the address. What it names and the object does not have is left out. */
export function readQuery(object: ObjectMeta, views: readonly ListView[], search: URLSearchParams): ListQuery {
  const view = views.find((one) => one.id === search.get('view')) ?? views[0];
  if (!view) throw new Error(`${object.name} has no view`);
  const groups = object.fields.filter((field) => field.type === 'select').map((field) => field.name);
  const wanted = search.get('group') ?? view.groupBy ?? object.stages ?? null;
  const groupBy = wanted && groups.includes(wanted) ? wanted : (groups[0] ?? null);
  const asked = search.get('type') ?? view.type;
  const names = (text: string | null): string[] | null => (text === null ? null : text.split(',').filter(Boolean));
  const columns = (names(search.get('columns')) ?? [...view.columns]).filter((name) => known(object, name));
  // The first column is what the record is known by, all of it.
  const [title = '', ...rest] = object.title;
  return {
    view: view.id,
    type: asked === 'board' && groupBy ? 'board' : 'table',
    columns: withTitle(
      columns.filter((name) => !rest.includes(name)),
      title,
    ),
    conditions: readConditions(search.get('filter')) ?? conditionsOf(view.filter ?? undefined),
    sort: (names(search.get('sort')) ?? [...(view.sort ?? [])]).filter((key) => known(object, key.replace(/^-/, ''))),
    groupBy,
    sum: view.sum ?? null,
    search: search.get('q') ?? '',
  };
}

function readConditions(text: string | null): Filter[] | null {
  if (text === null) return null;
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? (list as Filter[]) : null;
  } catch {
    return null;
  }
}

/** The values that a new record needs to be in the list, as far as single conditions tell. */
export function impliedBy(conditions: readonly Filter[]): Record<string, FieldValue> {
  const values: Record<string, FieldValue> = {};
  for (const condition of conditions) {
    if (!isComparison(condition) || condition.field.includes('.') || condition.value === undefined) continue;
    const { field, op, value } = condition;
    if (op === 'eq' && !Array.isArray(value) && !isRelative(value)) values[field] = value;
    else if (op === 'in' && Array.isArray(value) && value.length === 1) values[field] = value[0] ?? null;
    else if (op === 'contains' && typeof value === 'string') values[field] = [value];
  }
  return values;
}

/** Writes what differs from the view into the address. */
export function writeQuery(query: ListQuery, view: ListView, first: boolean, object: ObjectMeta): string {
  const search = new URLSearchParams();
  const hidden = object.title.slice(1);
  if (!first) search.set('view', view.id);
  if (query.type !== view.type) search.set('type', query.type);
  if (query.type === 'board' && query.groupBy && view.groupBy && query.groupBy !== view.groupBy) search.set('group', query.groupBy);
  if (
    query.columns.join() !==
    withTitle(
      view.columns.filter((name) => !hidden.includes(name)),
      query.columns[0] ?? '',
    ).join()
  )
    search.set('columns', query.columns.join());
  if (JSON.stringify(query.conditions) !== JSON.stringify(conditionsOf(view.filter ?? undefined)))
    search.set('filter', JSON.stringify(query.conditions));
  if (query.sort.join() !== (view.sort ?? []).join()) search.set('sort', query.sort.join());
  if (query.search) search.set('q', query.search);
  const text = search.toString();
  return text ? `?${text}` : '';
}
const withTitle = (columns: readonly string[], title: string): string[] => [title, ...columns.filter((name) => name !== title)];

/** Whether the list differs from its view in what a view keeps. */
export function isChanged(query: ListQuery, view: ListView, object: ObjectMeta): boolean {
  return writeQuery({ ...query, search: '' }, view, true, object) !== '';
}

/** The fields that the list needs of each record. */
export function fieldsOf(object: ObjectMeta, query: ListQuery): string[] {
  const names = new Set([...object.title, ...query.columns, ...query.sort.map((key) => key.replace(/^-/, ''))]);
  if (query.type === 'board') for (const name of [query.groupBy, query.sum]) if (name) names.add(name);
  return [...names].filter((name) => object.fields.some((field) => field.name === name));
}

function paramsOf(object: ObjectMeta, query: ListQuery): Params {
  const filter = filterOf(query.conditions);
  return {
    filter: filter && JSON.stringify(filter),
    search: query.search.trim() || undefined,
    sort: query.sort.join() || undefined,
    fields: fieldsOf(object, query).join(),
    refs: 1,
  };
}

/** The columns whose foot shows a sum or an average. */
export function totalled(object: ObjectMeta, query: ListQuery): string[] {
  return query.columns.filter((name) => {
    const field = object.fields.find((one) => one.name === name);
    return field?.type === 'number' || field?.type === 'money';
  });
}

/** Reads a page of a table. The first one counts. */
export function readPage(api: Api, object: ObjectMeta, query: ListQuery, cursor?: string, limit = PAGE_SIZE): Promise<Page> {
  const totals = totalled(object, query).join();
  return api.get<Page>(`/records/${object.name}`, {
    ...paramsOf(object, query),
    limit,
    cursor,
    ...(cursor ? {} : { count: 'capped', totals: totals || undefined }),
  });
}

/** Counts exactly, however many there are. */
export async function countExactly(api: Api, object: ObjectMeta, query: ListQuery): Promise<number> {
  const page = await api.get<Page>(`/records/${object.name}`, { ...paramsOf(object, query), limit: 1, count: 'exact' });
  return page.count ?? 0;
}

export interface BoardColumn {
  value: string | null;
  data: Rec[];
  nextCursor: string | null;
  count: number;
  sum: Total['sum'];
}
export interface BoardPage {
  columns: BoardColumn[];
  refs: Refs;
}

const inGroup = (query: ListQuery, value: string | null): ListQuery => ({
  ...query,
  conditions: [
    ...query.conditions,
    value === null ? { field: query.groupBy ?? '', op: 'isNull', value: true } : { field: query.groupBy ?? '', op: 'eq', value },
  ],
});

/** Count and sum of each column of a board. */
export async function readGroups(api: Api, object: ObjectMeta, query: ListQuery): Promise<Group[]> {
  const page = await api.get<Page>(`/records/${object.name}`, {
    ...paramsOf(object, query),
    limit: 1,
    group: query.groupBy ?? '',
    sum: query.sum ?? undefined,
  });
  return page.groups ?? [];
}

/** Reads the beginning of every column of a board. */
export async function readBoard(api: Api, object: ObjectMeta, query: ListQuery): Promise<BoardPage> {
  const field = object.fields.find((one) => one.name === query.groupBy);
  const groups = await readGroups(api, object, query);
  const of = (value: string | null): Group | undefined => groups.find((group) => (group.value ?? null) === value);
  const values: (string | null)[] = (field?.options ?? []).map((option) => option.value);
  if (of(null)) values.unshift(null);
  const refs: Refs = {};
  const columns = await Promise.all(
    values.map(async (value): Promise<BoardColumn> => {
      const group = of(value);
      if (!group || group.count === 0) return { value, data: [], nextCursor: null, count: 0, sum: null };
      const page = await readColumn(api, object, query, value);
      Object.assign(refs, page.refs);
      return { value, data: page.data, nextCursor: page.nextCursor, count: group.count, sum: group.sum ?? null };
    }),
  );
  return { columns, refs };
}

export function readColumn(api: Api, object: ObjectMeta, query: ListQuery, value: string | null, cursor?: string): Promise<Page> {
  return api.get<Page>(`/records/${object.name}`, { ...paramsOf(object, inGroup(query, value)), limit: 30, cursor });
}

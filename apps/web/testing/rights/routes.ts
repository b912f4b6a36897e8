/** The rules of the matrix: for each route, what is asked of it by whom, and what must come back. A route without a rule fails the test. */
import type { Route } from '@kith/core/testing';
import type { Field, FieldValue, ModelObject, Rec } from '@kith/sdk';
import { canary, holds, mayOpen, maySee, PASSWORD, portalFor, SIDES, type Caller, type RightsWorld, type Side } from './world.ts';

/** One request of one caller. */
export interface Cell {
  what: string;
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** Statuses of which one must come back. */
  expect: readonly number[];
  /** Looks closer at an answer: what is wrong with it, or nothing. */
  check?: (body: unknown) => string | undefined;
  /** Another request whose refusal must be the same, so that it does not tell what is there. */
  like?: { path: string; body?: unknown };
}
export type RouteRule = (world: RightsWorld, caller: Caller) => Cell[] | Promise<Cell[]>;

const NONE = '01999999-9999-7999-8999-999999999999';
const OK = [200];
const staff = (caller: Caller): boolean => caller.role !== undefined && caller.audience === undefined;
const nobody = (caller: Caller): boolean => caller.via === 'nothing';
const partner = (caller: Caller): boolean => caller.company !== undefined && !caller.preview;
const writer = (caller: Caller): boolean => staff(caller) && caller.role !== 'reader';
/** Routes of the staff: what comes back to whom, with those of the staff who may. */
const staffOnly = (caller: Caller, status: number, may = true): number[] =>
  nobody(caller) ? [401] : staff(caller) && may ? [status] : [403];
/** Previews change nothing; all else is as the route says. */
const unlessPreview = (caller: Caller, expect: readonly number[]): readonly number[] => (caller.preview ? [403] : expect);

const data = (body: unknown): Rec[] => (body as { data: Rec[] }).data;
const each = (world: RightsWorld, make: (object: ModelObject, rec: Rec, side: Side) => Cell[]): Cell[] =>
  world.objects.flatMap((object) => SIDES.flatMap((side) => make(object, world.records.get(object.name)![side], side)));

/** The fields of a record that came back: none but those that this caller may read, and nothing of who did what. */
function checkRecord(object: ModelObject, caller: Caller): (body: unknown) => string | undefined {
  return (body) => {
    const portal = portalFor(object, caller);
    if (!portal) return undefined;
    const rec = body as Rec & { refs?: object };
    const extra = Object.keys(rec.fields).filter((name) => !portal.read.has(name));
    if (extra.length > 0) return `shows ${extra.join(', ')}`;
    const missing = [...portal.read].filter((name) => !(name in rec.fields));
    if (missing.length > 0) return `lacks ${missing.join(', ')}`;
    return 'createdBy' in rec || 'updatedBy' in rec ? 'says who did it' : undefined;
  };
}

function checkList(world: RightsWorld, object: ModelObject, caller: Caller): (body: unknown) => string | undefined {
  return (body) => {
    if (staff(caller)) return undefined;
    const mine = new Set(
      SIDES.map((side) => world.records.get(object.name)![side]).flatMap((rec) => (maySee(object, rec, caller) ? [rec.id] : [])),
    );
    const foreign = data(body).filter((rec) => !mine.has(rec.id));
    if (foreign.length > 0) return `lists ${foreign.length} records that are not theirs`;
    const { count } = body as { count?: number };
    if (count !== undefined && count !== mine.size) return `counts ${count} instead of ${mine.size}`;
    return data(body)
      .map((rec) => checkNames(object, caller, rec))
      .find(Boolean);
  };
}
function checkNames(object: ModelObject, caller: Caller, rec: Rec): string | undefined {
  const portal = portalFor(object, caller);
  const extra = portal ? Object.keys(rec.fields).filter((name) => !portal.read.has(name)) : [];
  return extra.length > 0 ? `shows ${extra.join(', ')}` : undefined;
}

/** A value that fits a field, and is another than before. */
function another(spec: Field, now: FieldValue | undefined): FieldValue {
  if (spec.type === 'select') return Object.keys(spec.options).find((option) => option !== now) ?? null;
  if (spec.type === 'boolean') return now !== true;
  if (spec.type === 'ref' || spec.type === 'refs' || spec.type === 'anyRef' || spec.type === 'user') return null;
  return canary(spec);
}

const query = (parameters: Record<string, string>): string => new URLSearchParams(parameters).toString();

/** Whether groups hold as many records as the list does: no more than the caller sees, and each once. */
function counted(body: unknown): string | undefined {
  const { groups = [], rest, count } = body as { groups?: { count: number }[]; rest?: { count: number }; count?: number };
  const sum = groups.reduce((all, group) => all + group.count, rest?.count ?? 0);
  return sum === count ? undefined : `groups of ${sum} records in a list of ${count}`;
}

/**
 * A plugin's route, asked with parameters that name nothing: whoever is kept out by its access is told so before anything
 * is looked at; whom it lets in, it answers or refuses for another reason.
 */
export const pluginRule =
  ({ access, path, method }: Route): RouteRule =>
  (world, caller) => {
    const may =
      access === 'public' ||
      (typeof access === 'object' &&
        caller.role !== undefined &&
        staff(caller) &&
        world.runtime.model.permissions.get(access.permission)!.roles.includes(caller.role)) ||
      (staff(caller) && (access === 'staff' || caller.role === 'admin' || (access === 'lead' && caller.role === 'manager')));
    const answered = [200, 201, 204, 400, 404, 409, 410, 415, 422];
    const kept = nobody(caller) ? [401] : [403];
    return [
      {
        what: 'a plugin’s route',
        path: path.replace(/\{\w+\}/g, NONE),
        ...(method === 'GET' ? {} : { body: {} }),
        // A public one may look for a signature itself.
        expect: may ? (access === 'public' || caller.role === 'reader' || caller.preview ? [...answered, 403] : answered) : kept,
      },
    ];
  };

export const rules: Record<string, RouteRule> = {
  'POST /session': (_world, caller) => [
    {
      what: 'a wrong password',
      path: '/session',
      body: { email: `${caller.name.replaceAll(' ', '-')}@nowhere.example`, password: 'wrong' },
      expect: [401],
    },
    { what: 'a wrong link', path: '/session', body: { guest: NONE }, expect: [404] },
  ],
  'GET /session': (_world, caller) => [
    {
      what: 'who am I',
      path: '/session',
      expect: nobody(caller) ? [401] : OK,
      check: (body) => {
        const { roles } = (body as { principal: { roles: string[] } }).principal;
        return caller.audience !== undefined && roles.length > 0 ? 'has roles' : undefined;
      },
    },
  ],
  'DELETE /session': async (world, caller) => {
    // A session of its own, which may end.
    const own = caller.via === 'cookie' && caller.record === undefined ? await world.cookieOf(caller.id) : {};
    return [{ what: 'sign out', path: '/session', headers: own, expect: nobody(caller) ? [401] : unlessPreview(caller, [204]) }];
  },
  'GET /objects': (world, caller) => [
    {
      what: 'all',
      path: '/objects',
      expect: nobody(caller) ? [401] : OK,
      check: (body) => {
        const names = (body as { data: { name: string }[] }).data.map((one) => one.name).sort();
        const wanted = world.objects
          .filter((object) => mayOpen(object, caller))
          .map((object) => object.name)
          .sort();
        return JSON.stringify(names) === JSON.stringify(wanted) ? undefined : `${names.join(' ')} instead of ${wanted.join(' ')}`;
      },
    },
  ],
  'GET /objects/{object}': (world, caller) =>
    [...world.objects.map((object) => object.name), 'no.where'].map((name) => {
      const object = world.objects.find((one) => one.name === name);
      return {
        what: name,
        path: `/objects/${name}`,
        expect: nobody(caller) ? [401] : object && mayOpen(object, caller) ? OK : [404],
        check: (body) => {
          const portal = object && portalFor(object, caller);
          const names = (body as { fields: { name: string }[] }).fields.map((field) => field.name);
          return portal && names.some((field) => !portal.read.has(field)) ? `shows ${names.join(' ')}` : undefined;
        },
      };
    }),
  'GET /records/{object}': (world, caller) =>
    world.objects.flatMap((object) => {
      const path = `/records/${object.name}`;
      const portal = portalFor(object, caller);
      const open = nobody(caller) ? [401] : mayOpen(object, caller) ? OK : [404];
      const check = checkList(world, object, caller);
      const cells: Cell[] = [
        { what: `${object.name}`, path, expect: open, check },
        { what: `${object.name} counted`, path: `${path}?count=exact&refs=1&limit=1`, expect: open, check },
        { what: `${object.name} by the newest`, path: `${path}?sort=-updatedAt`, expect: open, check },
        {
          what: `${object.name} by who made it`,
          path: `${path}?sort=createdBy`,
          expect: open === OK ? [400] : open,
        },
      ];
      for (const side of SIDES) {
        const rec = world.records.get(object.name)![side];
        const words = Object.values(rec.fields).find((value) => typeof value === 'string' && value.startsWith('kanarie'));
        if (typeof words === 'string')
          cells.push({
            what: `${object.name} searched for ${side}`,
            path: `${path}?${query({ search: words, count: 'exact' })}`,
            expect: open === OK && object.search.length === 0 ? [200, 400] : open,
            check: (body) =>
              Array.isArray((body as { data?: unknown }).data) &&
              data(body).some((found) => !maySee(object, found.id === rec.id ? rec : found, caller))
                ? 'finds what is not theirs'
                : undefined,
          });
        cells.push({
          what: `${object.name} filtered by the id of ${side}`,
          path: `${path}?${query({ filter: JSON.stringify({ field: 'id', op: 'eq', value: rec.id }) })}`,
          expect: open,
          check: (body) => (data(body).length > 0 && !maySee(object, rec, caller) ? 'finds what is not theirs' : undefined),
        });
      }
      // Readers and keys of the staff read as all staff do.
      if (staff(caller) && (caller.via === 'key' || caller.role === 'manager' || caller.role === 'member')) return cells;
      for (const { name, spec } of object.fields.values()) {
        // What may not be read is refused as what is not there.
        const readable = portal ? portal.read.has(name) : true;
        const expect = open !== OK ? open : readable ? [200, 400] : [400];
        const shown = expect.includes(200);
        const ask = (what: string, of: (field: string) => Record<string, string>, more: typeof check = () => undefined): void => {
          cells.push({
            what: `${object.name} ${what} ${name}`,
            path: `${path}?${query(of(name))}`,
            expect,
            ...(shown
              ? { check: (body) => ('data' in (body as object) ? (check(body) ?? more(body)) : undefined) }
              : { like: { path: `${path}?${query(of('nowhere'))}` } }),
          });
        };
        ask('sorted by', (field) => ({ sort: field }));
        ask('filtered by', (field) => ({ filter: JSON.stringify({ field, op: 'isNull', value: false }) }));
        ask('with', (field) => ({ fields: field }));
        // A group counts what the list counts, whatever it is grouped by.
        const bucket = spec.type === 'date' || spec.type === 'dateTime' ? ':month' : '';
        ask('grouped by', (field) => ({ group: `${field}${bucket}`, count: 'exact', limit: '1' }), counted);
        if (spec.type === 'number' || spec.type === 'money') ask('totalled by', (field) => ({ totals: field }));
        if (spec.type === 'ref')
          ask('filtered beyond', (field) => ({ filter: JSON.stringify({ field: `${field}.id`, op: 'isNull', value: false }) }));
        if (spec.type === 'ref')
          for (const beyond of world.objects.find((one) => one.name === spec.to)!.title)
            ask(`grouped by ${beyond} beyond`, (field) => ({ group: `${field}.${beyond}`, count: 'exact', limit: '1' }), counted);
      }
      return cells;
    }),
  'POST /records/{object}': (world, caller) =>
    world.objects.flatMap((object) => {
      const path = `/records/${object.name}`;
      const portal = portalFor(object, caller);
      if (nobody(caller)) return [{ what: object.name, path, body: {}, expect: [401] }];
      if (staff(caller)) {
        const may = holds(object.access.create, caller);
        // What is required may be missing; whether one may is answered first.
        return [{ what: object.name, path, body: may ? { nowhere: 1 } : {}, expect: may ? [422] : [403] }];
      }
      if (!portal) return [{ what: object.name, path, body: {}, expect: unlessPreview(caller, [403, 404]) }];
      if (!portal.create || caller.preview) return [{ what: object.name, path, body: {}, expect: [403] }];
      return [...object.fields.values()].flatMap((field): Cell[] => {
        if (field.spec.type === 'ref' && portal.create!.has(field.name)) {
          const foreign = world.records.get(field.spec.to)![caller.side === 'A' ? 'B' : 'A'].id;
          const body = (id: string): Record<string, unknown> => ({ ...minimal(world, object, caller), [field.name]: id });
          return [
            {
              what: `${object.name} at a foreign ${field.name}`,
              path,
              body: body(foreign),
              expect: [403, 404, 422],
              like: { path, body: body(NONE) },
            },
          ];
        }
        if (portal.create!.has(field.name)) return [];
        const body = { ...minimal(world, object, caller), [field.name]: another(field.spec, null) ?? NONE };
        return [{ what: `${object.name} with ${field.name}`, path, body, expect: [403, 422] }];
      });
    }),
  'POST /records/{object}/batch': (world, caller) =>
    each(world, (object, rec, side) => {
      const path = `/records/${object.name}/batch`;
      const portal = portalFor(object, caller);
      const see = maySee(object, rec, caller);
      const refused = nobody(caller) ? [401] : staff(caller) ? [403] : unlessPreview(caller, [403, 404, 422]);
      if (writer(caller)) return [{ what: `${object.name} nothing`, path, body: {}, expect: OK }];
      const unwritable = [...object.fields.keys()].find((name) => !portal?.write.has(name))!;
      const bodies = (id: string): Record<string, unknown>[] => [
        { delete: [id] },
        { update: [{ id, fields: { [unwritable]: another(object.fields.get(unwritable)!.spec, rec.fields[unwritable]) } }] },
        { create: [{}], delete: [id] },
      ];
      return bodies(rec.id).map((body, i) => ({
        what: `${object.name} ${['delete', 'change', 'create and delete'][i]} ${side}`,
        path,
        body,
        expect: refused,
        ...(see || nobody(caller) ? {} : { like: { path, body: bodies(NONE)[i] } }),
      }));
    }),
  'GET /records/{object}/{id}': (world, caller) =>
    each(world, (object, rec, side) => {
      const see = maySee(object, rec, caller);
      const expect = nobody(caller) ? [401] : see ? OK : [404];
      const path = (id: string): string => `/records/${object.name}/${id}`;
      const now = encodeURIComponent(new Date().toISOString());
      const like = (of: (id: string) => string): Pick<Cell, 'like'> => (see || nobody(caller) ? {} : { like: { path: of(NONE) } });
      const check = checkRecord(object, caller);
      return [
        { what: `${object.name} ${side}`, path: path(rec.id), expect, check, ...like(path) },
        {
          what: `${object.name} ${side} with titles`,
          path: `${path(rec.id)}?refs=1`,
          expect,
          check,
          ...like((id) => `${path(id)}?refs=1`),
        },
        {
          what: `${object.name} ${side} as of now`,
          path: `${path(rec.id)}?asOf=${now}`,
          expect,
          ...like((id) => `${path(id)}?asOf=${now}`),
        },
      ];
    }),
  'PATCH /records/{object}/{id}': (world, caller) =>
    each(world, (object, rec, side) => {
      const path = (id: string): string => `/records/${object.name}/${id}`;
      const portal = portalFor(object, caller);
      if (staff(caller)) {
        const may = holds(object.access.update, caller, rec);
        return [
          { what: `${object.name} ${side}`, path: path(rec.id), body: { nowhere: 1 }, expect: may ? [422] : [403] },
          { what: `${object.name} ${side}, nothing`, path: path(rec.id), body: {}, expect: may ? OK : [403] },
        ];
      }
      const see = maySee(object, rec, caller);
      return [...object.fields.values()].flatMap((field): Cell[] => {
        const body = { [field.name]: another(field.spec, rec.fields[field.name]) };
        const what = `${object.name} ${side} ${field.name}`;
        if (nobody(caller)) return side === 'A' ? [{ what, path: path(rec.id), body, expect: [401] }] : [];
        if (!see) return [{ what, path: path(rec.id), body, expect: unlessPreview(caller, [404, 403]), like: { path: path(NONE), body } }];
        if (portal!.write.has(field.name) && !caller.preview) return [];
        return [
          {
            what,
            path: path(rec.id),
            body,
            expect: [403, 422],
            // A field that may not be read is refused as one that is not there.
            ...(portal!.read.has(field.name) ? {} : { like: { path: path(rec.id), body: { nowhere: 1 } } }),
          },
        ];
      });
    }),
  'DELETE /records/{object}/{id}': (world, caller) =>
    each(world, (object, rec, side) => {
      const path = (id: string): string => `/records/${object.name}/${id}`;
      if (writer(caller)) return [{ what: `${object.name} of nothing`, path: path(NONE), expect: [404] }];
      const see = maySee(object, rec, caller);
      const expect = nobody(caller) ? [401] : staff(caller) ? [403] : unlessPreview(caller, see ? [403] : [403, 404]);
      return [
        { what: `${object.name} ${side}`, path: path(rec.id), expect, ...(see || nobody(caller) ? {} : { like: { path: path(NONE) } }) },
      ];
    }),
  'POST /records/{object}/{id}/restore': (world, caller) =>
    each(world, (object, rec, side) => [
      {
        what: `${object.name} ${side}`,
        path: `/records/${object.name}/${rec.id}/restore`,
        expect: nobody(caller) ? [401] : writer(caller) ? [404] : [403, 404],
      },
    ]),
  'POST /records/{object}/{id}/actions/{name}': (world, caller) =>
    each(world, (object, rec, side) =>
      [...object.actions.keys(), 'nothing'].flatMap((name): Cell[] => {
        const path = (id: string): string => `/records/${object.name}/${id}/actions/${name}`;
        const what = `${object.name} ${side} ${name}`;
        const body = { nowhere: 1 };
        if (nobody(caller)) return [{ what, path: path(rec.id), body: {}, expect: [401] }];
        const portal = portalFor(object, caller);
        const known = object.actions.has(name);
        if (staff(caller)) {
          const may = known && holds(object.actions.get(name)!.permission ?? object.access.update, caller, rec);
          // Whoever may is told what is wrong with the input; whoever may not is told that first.
          return [{ what, path: path(rec.id), body: may ? body : {}, expect: !known ? [404] : may ? [422] : [403, 422] }];
        }
        const see = maySee(object, rec, caller);
        if (!see)
          return [
            { what, path: path(rec.id), body: {}, expect: unlessPreview(caller, [403, 404, 422]), like: { path: path(NONE), body: {} } },
          ];
        if (known && portal!.actions.has(name) && !caller.preview) return [{ what, path: path(rec.id), body, expect: [422] }];
        return [{ what, path: path(rec.id), body: {}, expect: known ? [403, 422] : unlessPreview(caller, [404]) }];
      }),
    ),
  'GET /records/{object}/{id}/history': (world, caller) =>
    each(world, (object, rec, side) => {
      const path = (id: string): string => `/records/${object.name}/${id}/history?refs=1`;
      const see = maySee(object, rec, caller);
      return [
        {
          what: `${object.name} ${side}`,
          path: path(rec.id),
          expect: nobody(caller) ? [401] : see ? OK : [404],
          check: (body) => {
            const portal = portalFor(object, caller);
            const names = (body as { data: { changes: object }[] }).data.flatMap((one) => Object.keys(one.changes));
            const extra = portal ? names.filter((name) => !portal.read.has(name)) : [];
            return extra.length > 0 ? `tells of ${extra.join(', ')}` : undefined;
          },
          ...(see || nobody(caller) ? {} : { like: { path: path(NONE) } }),
        },
      ];
    }),
  'POST /records/{object}/{id}/revert': (world, caller) =>
    each(world, (object, rec, side) => {
      const path = `/records/${object.name}/${rec.id}/revert`;
      return [
        {
          what: `${object.name} ${side}`,
          path,
          body: { at: 'never' },
          expect: nobody(caller) ? [401] : staff(caller) ? [400, 403] : [403],
        },
      ];
    }),
  'GET /records/{object}/{id}/timeline': (world, caller) =>
    each(world, (object, rec, side) => [
      { what: `${object.name} ${side}`, path: `/records/${object.name}/${rec.id}/timeline`, expect: staffOnly(caller, 200) },
    ]),
  'GET /bin': (world, caller) =>
    world.objects.map((object) => ({ what: object.name, path: `/bin?object=${object.name}`, expect: staffOnly(caller, 200) })),
  'GET /search': (world, caller) =>
    each(world, (object, rec, side) => {
      const words = object.search
        .map((name) => rec.fields[name])
        .find((value): value is string => typeof value === 'string' && value.length > 2);
      if (words === undefined) return [];
      return [
        {
          what: `${object.name} ${side}`,
          path: `/search?${query({ q: words })}`,
          expect: nobody(caller) ? [401] : OK,
          check: (body) => {
            const hits = (body as { data: { object: string; id: string }[] }).data;
            const foreign = hits.filter((hit) => !seesId(world, caller, hit.object, hit.id));
            return foreign.length > 0 ? `finds ${foreign.map((hit) => hit.object).join(' ')}` : undefined;
          },
        },
      ];
    }),
  'GET /notices': (_world, caller) => [
    {
      what: 'one’s own',
      path: '/notices',
      expect: personal(caller, 200),
      check: (body) => (data(body).length > 0 ? 'shows notices of others' : undefined),
    },
  ],
  'POST /notices/read': (_world, caller) => [{ what: 'all', path: '/notices/read', body: {}, expect: personal(caller, 200) }],
  'GET /notices/choices': (_world, caller) => [{ what: 'one’s own', path: '/notices/choices', expect: personal(caller, 200) }],
  'PATCH /notices/choices': (_world, caller) => [
    { what: 'a kind', path: '/notices/choices', body: { digest: false }, expect: personal(caller, 200) },
    { what: 'no kind', path: '/notices/choices', body: { kinds: { 'no.kind': true } }, expect: personal(caller, 422) },
  ],
  'GET /jobs': (_world, caller) => [{ what: 'parked', path: '/jobs', expect: staffOnly(caller, 200, caller.role === 'admin') }],
  'GET /jobs/summary': (_world, caller) => [
    { what: 'at a glance', path: '/jobs/summary', expect: staffOnly(caller, 200, caller.role === 'admin') },
  ],
  'POST /jobs/{id}/replay': (world, caller) => [
    {
      what: 'one that is parked',
      path: `/jobs/${world.parked}/replay`,
      body: {},
      expect: caller.role === 'admin' && staff(caller) ? [204, 404] : staffOnly(caller, 204, false),
    },
  ],
  'DELETE /jobs/{id}': (world, caller) => [
    {
      what: 'one that is parked',
      path: `/jobs/${world.parked}`,
      expect: caller.role === 'admin' && staff(caller) ? [204, 404] : staffOnly(caller, 204, false),
    },
  ],
  'POST /jobs/replay': (world, caller) => [
    {
      what: 'those named',
      path: '/jobs/replay',
      body: { ids: [world.parked] },
      expect: staffOnly(caller, 200, caller.role === 'admin'),
    },
  ],
  'POST /jobs/drop': (world, caller) => [
    { what: 'those named', path: '/jobs/drop', body: { ids: [world.parked] }, expect: staffOnly(caller, 200, caller.role === 'admin') },
  ],
  'GET /plugins': (_world, caller) => [{ what: 'all', path: '/plugins', expect: staffOnly(caller, 200, caller.role === 'admin') }],
  'GET /plugins/{id}': (_world, caller) => [
    { what: 'one', path: '/plugins/sales', expect: staffOnly(caller, 200, caller.role === 'admin') },
  ],
  'GET /plugins/{id}/settings': (_world, caller) => [
    { what: 'one', path: '/plugins/sales/settings', expect: staffOnly(caller, 200, caller.role === 'admin') },
  ],
  'PATCH /plugins/{id}/settings': (_world, caller) => [
    {
      what: 'a setting that there is not',
      path: '/plugins/sales/settings',
      body: { nothing: 1 },
      expect: staffOnly(caller, 422, caller.role === 'admin'),
    },
  ],
  'POST /plugins/{id}/enable': (_world, caller) => [
    { what: 'one that is on', path: '/plugins/sales/enable', body: {}, expect: staffOnly(caller, 200, caller.role === 'admin') },
  ],
  'POST /plugins/{id}/disable': (_world, caller) => [
    { what: 'one that others need', path: '/plugins/contacts/disable', body: {}, expect: staffOnly(caller, 409, caller.role === 'admin') },
  ],
  'POST /importers/{importer}': (_world, caller) => [
    { what: 'one that is not there', path: '/importers/contacts.nothing', body: {}, expect: staffOnly(caller, 404) },
  ],
  'POST /plugins/{id}/purge': (_world, caller) => [
    {
      what: 'one that is in the build',
      path: '/plugins/sales/purge',
      body: { confirm: 'sales' },
      expect: staffOnly(caller, 409, caller.role === 'admin'),
    },
  ],
  'GET /events': (world, caller) =>
    [undefined, ...world.objects].map((object) => {
      // From the beginning of this world: whatever ever happened and may be told is told.
      const asked = query({ ...(object ? { object: object.name } : {}), lastEventId: world.beginning });
      return {
        what: `${object?.name ?? 'all'}`,
        path: `/events?${asked}`,
        expect: nobody(caller) ? [401] : !object || mayOpen(object, caller) ? OK : [404],
        check: (body) => {
          const told = body as { event: string; object: string; record: string; by?: string; changes?: object }[];
          const foreign = told.find(({ object: name, record }) => !seesId(world, caller, name, record) && isOfWorld(world, name, record));
          if (foreign) return `tells of a ${foreign.object} that is not theirs`;
          for (const one of told) {
            const portal = portalFor(
              world.objects.find(({ name }) => name === one.object)!,
              caller,
            );
            const extra = portal ? Object.keys(one.changes ?? {}).filter((name) => !portal.read.has(name)) : [];
            if (extra.length > 0) return `tells ${extra.join(', ')} of a ${one.object}`;
          }
          const missing = (object ? [object] : []).flatMap(({ name }) =>
            SIDES.filter((side) => {
              const rec = world.records.get(name)![side];
              return maySee(object!, rec, caller) && !told.some(({ record }) => record === rec.id);
            }),
          );
          return missing.length > 0 ? `does not tell of ${missing.join(' and ')}` : undefined;
        },
      };
    }),
  'POST /collab/ticket': (world, caller) =>
    each(world, (object, rec, side) => {
      const see = maySee(object, rec, caller);
      const body = (id: string): Record<string, unknown> => ({ object: object.name, id });
      return [
        {
          what: `${object.name} ${side}`,
          path: '/collab/ticket',
          body: body(rec.id),
          expect: nobody(caller) ? [401] : see ? OK : [404],
          check: (answer) => {
            const facets = (answer as { facets: { name: string; access: string }[] }).facets
              .map(({ name, access }) => `${name} ${access}`)
              .sort();
            const wanted = facetsFor(object, caller)
              .map(({ name, access }) => `${name} ${access}`)
              .sort();
            return JSON.stringify(facets) === JSON.stringify(wanted) ? undefined : `${facets.join(', ')} instead of ${wanted.join(', ')}`;
          },
          ...(see || nobody(caller) ? {} : { like: { path: '/collab/ticket', body: body(NONE) } }),
        },
      ];
    }),
  'GET /users': (_world, caller) => [{ what: 'all', path: '/users', expect: staffOnly(caller, 200) }],
  'PATCH /users/{id}': (world, caller) => [
    { what: 'nobody', path: `/users/${NONE}`, body: { role: 'admin' }, expect: staffOnly(caller, 404, caller.role === 'admin') },
    ...world.callers
      .filter((other) => other.audience !== undefined && other.record === undefined && !other.preview)
      .map((other) => ({
        what: `makes ${other.name} an administrator`,
        path: `/users/${other.id}`,
        body: { role: 'admin' },
        expect: staffOnly(caller, 404, caller.role === 'admin'),
      })),
  ],
  'POST /users/invitations': (_world, caller) => [
    {
      what: 'of nobody',
      path: '/users/invitations',
      body: { email: 'x', role: 'admin' },
      expect: staffOnly(caller, 422, caller.role === 'admin'),
    },
  ],
  'GET /permissions': (_world, caller) => [{ what: 'all', path: '/permissions', expect: staffOnly(caller, 200, caller.role === 'admin') }],
  'PATCH /permissions': (world, caller) =>
    world.objects.map((object) => ({
      what: object.name,
      path: '/permissions',
      body: { object: object.name, role: 'admin', read: false },
      expect: nobody(caller) ? [401] : caller.role === 'admin' && staff(caller) ? [400, 403, 409, 422] : [403],
    })),
  'GET /invitations/{token}': () => [{ what: 'unknown', path: '/invitations/unknown', expect: [404] }],
  'POST /invitations/{token}': () => [
    { what: 'unknown', path: '/invitations/unknown', body: { name: 'N', password: PASSWORD }, expect: [404] },
  ],
  'GET /profile': (_world, caller) => [{ what: 'mine', path: '/profile', expect: personal(caller, 200) }],
  'PATCH /profile': (_world, caller) => [{ what: 'mine', path: '/profile', body: { theme: 'plaid' }, expect: personal(caller, 422) }],
  'POST /profile/password': (_world, caller) => [
    { what: 'mine', path: '/profile/password', body: { current: 'wrong', next: PASSWORD }, expect: personal(caller, 422) },
  ],
  'GET /views': (world, caller) =>
    world.objects.map((object) => ({ what: object.name, path: `/views?object=${object.name}`, expect: staffOnly(caller, 200) })),
  'POST /views': (world, caller) =>
    world.objects.map((object) => ({
      what: object.name,
      path: '/views',
      body: { object: object.name, name: '' },
      expect: staffOnly(caller, 422),
    })),
  'PATCH /views/{id}': (_world, caller) => [
    { what: 'nothing', path: `/views/${NONE}`, body: { name: 'x' }, expect: staffOnly(caller, 404) },
  ],
  'DELETE /views/{id}': (_world, caller) => [{ what: 'nothing', path: `/views/${NONE}`, expect: staffOnly(caller, 404) }],
  'GET /setup': () => [{ what: 'state', path: '/setup', expect: OK }],
  'POST /setup': () => [
    {
      what: 'a second time',
      path: '/setup',
      body: { organisation: 'O', language: 'en', name: 'N', email: 'n@o.example', password: PASSWORD },
      expect: [409],
    },
  ],
  'GET /organisation': (_world, caller) => [{ what: 'it', path: '/organisation', expect: staffOnly(caller, 200) }],
  'PATCH /organisation': (_world, caller) => [
    { what: 'its name', path: '/organisation', body: { name: '' }, expect: staffOnly(caller, 422, caller.role === 'admin') },
  ],
  'GET /openapi.json': () => [{ what: 'it', path: '/openapi.json', expect: OK }],
  'GET /partners': (world, caller) => {
    const own = (body: unknown): string | undefined => {
      const { data: people, invitations } = body as { data: { company: string }[]; invitations: { company: string }[] };
      return partner(caller) && [...people, ...invitations].some((one) => one.company !== caller.company)
        ? 'shows another company’s people'
        : undefined;
    };
    return [
      { what: 'all', path: '/partners', expect: ofPartners(caller, OK), check: own },
      ...companies(world).map((company) => ({
        what: `of ${company.name}`,
        path: `/partners?company=${company.id}`,
        expect: ofPartners(caller, company.id === caller.company ? OK : [404]),
        check: own,
      })),
    ];
  },
  'POST /partners/invitations': (world, caller) =>
    companies(world).map((company) => ({
      what: `to ${company.name}`,
      path: '/partners/invitations',
      body: { company: company.id, audience: company.audience, email: 'nobody', name: 'N', admin: true },
      expect: ofPartners(caller, [422], writer(caller) ? [422] : [403]),
    })),
  'DELETE /partners/invitations/{id}': (_world, caller) => [
    { what: 'unknown', path: `/partners/invitations/${NONE}`, expect: ofPartners(caller, [404], writer(caller) ? [404] : [403]) },
  ],
  'PATCH /partners/{id}': (world, caller) =>
    world.callers
      .filter((other) => partner(other) || (staff(other) && other.via === 'cookie'))
      .map((other) => {
        const mine = other.company === caller.company && other.id !== caller.id;
        return {
          what: other.name,
          path: `/partners/${other.id}`,
          body: mine || writer(caller) ? { active: 'no' } : { active: false },
          expect: ofPartners(caller, mine ? [422] : other.id === caller.id ? [403] : [404], writer(caller) ? [422] : [403]),
        };
      }),
  'GET /guests': (world, caller) =>
    each(world, (object, rec, side) => [
      { what: `${object.name} ${side}`, path: `/guests?object=${object.name}&id=${rec.id}`, expect: staffOnly(caller, 200) },
    ]),
  'POST /guests': (world, caller) =>
    each(world, (object, rec, side) => [
      {
        what: `${object.name} ${side}`,
        path: '/guests',
        body: { object: object.name, id: rec.id, audience: 'nobody', name: 'G' },
        expect: staffOnly(caller, 422, writer(caller)),
      },
    ]),
  'DELETE /guests/{id}': (world, caller) => [
    { what: 'unknown', path: `/guests/${NONE}`, expect: staffOnly(caller, 404, writer(caller)) },
    ...(writer(caller)
      ? []
      : world.callers
          .filter((other) => other.record !== undefined)
          .map((other) => ({ what: other.name, path: `/guests/${other.id}`, expect: staffOnly(caller, 403, false) }))),
  ],
  'GET /portal': (_world, caller) => [{ what: 'mine', path: '/portal', expect: nobody(caller) ? [401] : staff(caller) ? [403] : OK }],
  'POST /portal/visit': (_world, caller) => [
    { what: 'mine', path: '/portal/visit', body: {}, expect: nobody(caller) ? [401] : staff(caller) ? [403] : unlessPreview(caller, OK) },
  ],
};

/** Routes of people with an account, whatever they look at. */
function personal(caller: Caller, status: number): number[] {
  if (nobody(caller)) return [401];
  return caller.via === 'key' || caller.record !== undefined ? [403] : [status];
}

/** Routes of partners’ people: what their administrators get, what the staff get, and nobody else anything. */
function ofPartners(caller: Caller, admin: readonly number[], ofStaff: readonly number[] = OK): readonly number[] {
  if (nobody(caller)) return [401];
  if (staff(caller)) return ofStaff;
  return partner(caller) && caller.admin ? admin : [403];
}

function companies(world: RightsWorld): { id: string; name: string; audience: string }[] {
  const found = new Map<string, { id: string; name: string; audience: string }>();
  for (const { company, name, audience } of world.callers)
    if (company !== undefined && audience !== undefined && !found.has(company)) found.set(company, { id: company, name, audience });
  return [...found.values()];
}

const isOfWorld = (world: RightsWorld, name: string, id: string): boolean => SIDES.some((side) => world.records.get(name)![side].id === id);

function seesId(world: RightsWorld, caller: Caller, name: string, id: string): boolean {
  const object = world.objects.find((one) => one.name === name)!;
  if (staff(caller)) return mayOpen(object, caller);
  return SIDES.some((side) => {
    const rec = world.records.get(name)![side];
    return rec.id === id && maySee(object, rec, caller);
  });
}

/** The documents that a caller may join of a record that they see. */
export function facetsFor(object: ModelObject, caller: Caller): { name: string; access: 'read' | 'write' }[] {
  if (staff(caller)) return object.facets.map(({ name }) => ({ name, access: holds(object.access.update, caller) ? 'write' : 'read' }));
  const portal = portalFor(object, caller);
  return object.facets
    .filter(({ fields }) => portal !== undefined && fields.size > 0 && [...fields].every((name) => portal.read.has(name)))
    .map(({ name, fields }) => ({
      name,
      access: !caller.preview && [...fields].every((field) => portal!.write.has(field)) ? 'write' : 'read',
    }));
}

/** What a new record of an object needs, as this caller may say it. */
export function minimal(world: RightsWorld, object: ModelObject, caller: Caller): Record<string, unknown> {
  const portal = portalFor(object, caller);
  const fields: Record<string, unknown> = {};
  for (const { name, spec } of object.fields.values()) {
    if (!spec.required || !portal?.create?.has(name)) continue;
    fields[name] = spec.type === 'ref' ? world.records.get(spec.to)![caller.side ?? 'A'].id : canary(spec);
  }
  return fields;
}

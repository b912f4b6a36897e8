/** Files that plugins read into records: all that a file holds is made, as whoever brings it, or nothing. */
import { createHash } from 'node:crypto';
import type { AnyPlugin, AnyServer, Context, FieldProblem, FieldValue, ImportedRow, Importer, ModelObject } from '@kith/sdk';
import { can, isRowless } from '../access/filter.ts';
import { accessOf } from '../access/grant.ts';
import { forbidden, invalid, isDatabaseError, KithError, malformed, notFound } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Actor } from '../records/door.ts';
import { BATCH_LIMIT, idempotencyKey, json, readBytes } from './http.ts';
import { text } from './meta.ts';
import type { Call, Route } from './routes.ts';

/** Most records that one file makes: they are one transaction. */
const MOST_ROWS = 50_000;
/** More problems than these are counted rather than told. */
const MOST_PROBLEMS = 100;

/** Importers by their full names: `example.list`. */
const importersOf = (servers: readonly AnyServer[]): [string, { plugin: string; importer: Importer<AnyPlugin> }][] =>
  servers.flatMap(({ plugin, importers = {} }) =>
    Object.entries(importers).map(([key, importer]): [string, { plugin: string; importer: Importer<AnyPlugin> }] => [
      `${plugin.id}.${key}`,
      { plugin: plugin.id, importer },
    ]),
  );

const mayCreate = (object: ModelObject, { principal }: Call): boolean => {
  const rule = accessOf(object, principal).create;
  return !isRowless(rule) || can(object, principal, rule, {}) === true;
};

/** The kinds of files that the caller may bring for an object. */
export function importersMeta(call: Call, object: ModelObject): { name: string; label: string; accepts: readonly string[] }[] {
  const { runtime, principal, language } = call;
  if (principal.outside || !mayCreate(object, call)) return [];
  return importersOf(runtime.servers).flatMap(([name, { plugin, importer }]) =>
    importer.object === object.name
      ? [{ name, label: text(runtime.model, plugin, importer.title, language), accepts: importer.accepts }]
      : [],
  );
}

/** All rows of a file. @throws 422 with where each thing at fault stands */
async function rowsOf(rows: ReturnType<Importer<AnyPlugin>['read']>): Promise<{ where: string; fields: Record<string, FieldValue> }[]> {
  const good: { where: string; fields: Record<string, FieldValue> }[] = [];
  const problems: FieldProblem[] = [];
  try {
    for await (const row of rows as AsyncIterable<ImportedRow<Record<string, FieldValue>>>) {
      if ('problem' in row) problems.push({ field: row.where, code: 'invalid', message: row.problem });
      else good.push({ where: row.where, fields: row.fields as Record<string, FieldValue> });
      if (good.length > MOST_ROWS) throw new KithError(413, 'too_large', `The file has more than ${MOST_ROWS} records; bring it in parts.`);
    }
  } catch (error) {
    if (error instanceof KithError || isDatabaseError(error)) throw error;
    throw malformed(error instanceof Error ? error.message.slice(0, 500) : 'The file cannot be read.');
  }
  if (problems.length > 0) throw invalid(told(problems));
  return good;
}

/** The first problems, and how many there are besides. */
const told = (problems: readonly FieldProblem[]): FieldProblem[] =>
  problems.length <= MOST_PROBLEMS
    ? [...problems]
    : [...problems.slice(0, MOST_PROBLEMS), { code: 'more', message: `and ${problems.length - MOST_PROBLEMS} more` }];

/** Problems of records by their number, told by where they stand in the file. */
function located(error: unknown, rows: readonly { where: string }[]): unknown {
  if (!(error instanceof KithError) || !error.errors) return error;
  const errors = error.errors.map((one) => {
    const [, at, field] = /^create\[(\d+)\](?:\.(.+))?$/.exec(one.field ?? '') ?? [];
    const row = at === undefined ? (rows.length === 1 ? rows[0] : undefined) : rows[Number(at)];
    if (!row) return one;
    const name = at === undefined ? one.field : field;
    return { ...one, field: name === undefined ? row.where : `${row.where}, ${name}` };
  });
  return error.status === 422 ? invalid(told(errors)) : new KithError(error.status, error.code, error.message, { errors: told(errors) });
}

export const importerRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/importers/{importer}',
    access: 'staff',
    summary: 'Makes records of a file of a plugin’s kind: the body is the file; all of its records are made, or none',
    doc: {
      query: { name: 'name of the file' },
      headers: { 'Idempotency-Key': 'repeats of the request with the same key make nothing more' },
      status: 201,
    },
    handle: async (call) => {
      const { runtime, params, principal } = call;
      const found = importersOf(runtime.servers).find(([name]) => name === params.importer)?.[1];
      if (!found) throw notFound('importer');
      const { plugin, importer } = found;
      const object = runtime.records.object(importer.object);
      if (!mayCreate(object, call)) throw forbidden();
      const name = call.url.searchParams.get('name') ?? 'file';
      if (name !== 'file' && !importer.accepts.some((end) => name.toLowerCase().endsWith(end.toLowerCase())))
        throw new KithError(415, 'unsupported_media_type', `This reads files that end in ${importer.accepts.join(' or ')}.`);
      const data = await readBytes(call.request, BATCH_LIMIT);
      if (data.byteLength === 0) throw malformed('The file is empty.');
      const id = newId();
      const actor: Actor = { principal, cause: { kind: 'import', id } };
      const bring = async (ctx: Context<AnyPlugin>): Promise<{ status: number; body: unknown }> => {
        const rows = await rowsOf(importer.read({ name, data }, ctx));
        if (rows.length > 0) {
          try {
            // As the caller, by their rights; the types of the plugin's own names are gone here.
            const door = ctx.records as unknown as { createMany: (object: string, rows: readonly object[]) => Promise<string[]> };
            await door.createMany(
              object.name,
              rows.map(({ fields }) => fields),
            );
          } catch (error) {
            throw located(error, rows);
          }
        }
        return { status: 201, body: { id, object: object.name, created: rows.length } };
      };
      const key = idempotencyKey(call.request);
      if (key === undefined) return json((await runtime.records.within(plugin, actor, bring)).body, 201);
      const hash = createHash('sha256').update(`import ${params.importer} ${name}\n`).update(data).digest('hex');
      const done = await runtime.records.once(principal, key, hash, ({ context }) => bring(context(actor, plugin)));
      return json(done.body, done.status, done.repeated ? { 'idempotent-replayed': 'true' } : {});
    },
  },
];

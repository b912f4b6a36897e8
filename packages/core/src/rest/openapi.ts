/** The API as an OpenAPI 3.1 document, made from the routes and the model. */
import { ROLES, type Model, type ModelField } from '@kith/sdk';
import type { Route, RouteDoc } from './routes.ts';

type Schema = Record<string, unknown>;

const ID: Schema = { type: 'string', format: 'uuid' };

function valueSchema(field: ModelField): Schema {
  const { spec } = field;
  const of = (): Schema => {
    switch (spec.type) {
      case 'number':
        return {
          type: spec.integer ? 'integer' : 'number',
          ...(spec.min === undefined ? {} : { minimum: spec.min }),
          ...(spec.max === undefined ? {} : { maximum: spec.max }),
        };
      case 'boolean':
        return { type: 'boolean' };
      case 'money':
        return { $ref: '#/components/schemas/Money' };
      case 'address':
        return { $ref: '#/components/schemas/Address' };
      case 'anyRef':
        return { $ref: '#/components/schemas/AnyReference' };
      case 'date':
        return { type: 'string', format: 'date' };
      case 'dateTime':
        return { type: 'string', format: 'date-time' };
      case 'select':
        return { type: 'string', enum: Object.keys(spec.options) };
      case 'multiSelect':
        return { type: 'array', uniqueItems: true, items: { type: 'string', enum: Object.keys(spec.options) } };
      case 'ref':
        return { ...ID, description: `A record of ${spec.to}` };
      case 'refs':
        return { type: 'array', uniqueItems: true, items: { ...ID, description: `A record of ${spec.to}` } };
      case 'user':
        return { ...ID, description: 'A user' };
      case 'email':
        return { type: 'string', format: 'email' };
      case 'url':
        return { type: 'string', format: 'uri' };
      case 'richText':
        return { type: 'string', description: 'Markdown' };
      default:
        return { type: 'string' };
    }
  };
  return { anyOf: [{ ...of() }, { type: 'null' }], ...(field.mode === 'live' ? {} : { readOnly: true }) };
}

const EVENTS =
  'Messages with "id" (opaque), "event" (created, changed, deleted, restored, settled, or gone for a record that is out of sight) and "data": {object, record, kind, version, at, by, changes: {field: [old, new]}}; a long text that changed is null';

const refTo = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const listOf = (items: Schema): Schema => ({ type: 'array', items });
const objectOf = (properties: Record<string, Schema>): Schema => ({ type: 'object', properties });

/** What a list answers when it was asked for totals or groups. */
const TOTAL: Schema = { anyOf: [{ type: 'number' }, listOf(refTo('Money'))] };
const GROUPS: Record<string, Schema> = {
  totals: { type: 'object', additionalProperties: objectOf({ sum: TOTAL, avg: { anyOf: [TOTAL, { type: 'null' }] } }) },
  groups: listOf(objectOf({ value: { type: ['string', 'boolean', 'null'] }, count: { type: 'integer' }, sum: TOTAL })),
  rest: objectOf({ groups: { type: 'integer' }, count: { type: 'integer' }, sum: TOTAL }),
};

function answerSchema(answer: NonNullable<RouteDoc['answer']>, record: string | undefined): Schema {
  const one: Schema = record ? refTo(record) : { type: 'object' };
  switch (answer) {
    case 'record':
      return one;
    case 'batch':
      return objectOf({ created: listOf(one), updated: listOf(one), deleted: listOf(ID) });
    default:
      return objectOf({
        data: listOf(answer === 'records' ? one : { type: 'object' }),
        nextCursor: { type: ['string', 'null'] },
        ...(answer === 'records' ? { count: { type: 'integer' }, countCapped: { type: 'boolean' }, ...GROUPS } : {}),
      });
  }
}

function bodySchema(body: NonNullable<RouteDoc['body']>, record: string | undefined): Schema {
  const fields: Schema = record ? refTo(`${record}.fields`) : { type: 'object' };
  if (body === 'fields') return fields;
  if (body === 'batch') {
    const update: Schema = { ...objectOf({ id: ID, fields }), required: ['id', 'fields'] };
    return objectOf({ create: listOf(fields), update: listOf(update), delete: listOf(ID) });
  }
  const types: Record<string, Schema> = { strings: listOf({ type: 'string' }), time: { type: 'string', format: 'date-time' } };
  return objectOf(Object.fromEntries(Object.entries(body).map(([name, type]) => [name, types[type] ?? { type }])));
}

/** The whole document. */
export function openApi(model: Model, routes: readonly Route[]): Record<string, unknown> {
  const schemas: Record<string, Schema> = {
    Money: {
      type: 'object',
      required: ['amount', 'currency'],
      properties: { amount: { type: 'string', examples: ['12.50'] }, currency: { type: 'string', examples: ['EUR'] } },
    },
    Address: {
      type: 'object',
      properties: Object.fromEntries(['street', 'city', 'region', 'postalCode', 'country'].map((part) => [part, { type: 'string' }])),
    },
    AnyReference: { type: 'object', required: ['object', 'id'], properties: { object: { type: 'string' }, id: ID } },
    Problem: {
      type: 'object',
      required: ['type', 'title', 'status', 'code'],
      properties: {
        type: { type: 'string' },
        title: { type: 'string' },
        status: { type: 'integer' },
        code: { type: 'string' },
        detail: { type: 'string' },
        errors: {
          type: 'array',
          items: { type: 'object', properties: { field: { type: 'string' }, code: { type: 'string' }, message: { type: 'string' } } },
        },
      },
    },
    Role: { type: 'string', enum: [...ROLES] },
  };
  for (const object of model.objects.values()) {
    const properties = Object.fromEntries(
      [...object.fields.values()].filter(({ name }) => object.shown?.has(name) !== false).map((field) => [field.name, valueSchema(field)]),
    );
    schemas[`${object.name}.fields`] = { type: 'object', additionalProperties: false, properties };
    schemas[object.name] = {
      type: 'object',
      required: ['id', 'object', 'version', 'fields'],
      properties: {
        id: ID,
        object: { const: object.name },
        version: { type: 'integer' },
        createdAt: { type: 'string', format: 'date-time' },
        createdBy: ID,
        updatedAt: { type: 'string', format: 'date-time' },
        updatedBy: ID,
        title: { type: 'string' },
        fields: { $ref: `#/components/schemas/${object.name}.fields` },
      },
    };
  }
  const paths: Record<string, Record<string, unknown>> = {};
  const failure = {
    description: 'A problem',
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  };
  const add = (path: string, route: Route, record?: string): void => {
    const { doc = {} } = route;
    const status = doc.status ?? 200;
    const answer = doc.answer && answerSchema(doc.answer, record);
    const parameters = [
      ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
      ...Object.entries(doc.query ?? {}).map(([name, description]) => ({
        name,
        in: 'query',
        description,
        schema: { type: name === 'limit' ? 'integer' : 'string' },
      })),
      ...Object.entries(doc.headers ?? {}).map(([name, description]) => ({ name, in: 'header', description, schema: { type: 'string' } })),
    ];
    (paths[path] ??= {})[route.method.toLowerCase()] = {
      summary: route.summary,
      ...(route.access === 'public' ? { security: [] } : {}),
      ...(parameters.length > 0 ? { parameters } : {}),
      ...(doc.body ? { requestBody: { required: true, content: { 'application/json': { schema: bodySchema(doc.body, record) } } } } : {}),
      responses: {
        [status]: {
          description: 'Done',
          ...(status === 204
            ? {}
            : doc.answer === 'events'
              ? { content: { 'text/event-stream': { schema: { type: 'string', description: EVENTS } } } }
              : { content: { 'application/json': answer ? { schema: answer } : {} } }),
        },
        default: failure,
      },
    };
  };
  for (const route of routes) {
    if (!route.path.startsWith('/records/{object}')) add(route.path, route);
    else for (const object of model.objects.values()) add(route.path.replace('{object}', object.name), route, object.name);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Kith', version: '1.0.0', description: 'The records of this Kith, with every installed plugin.' },
    servers: [{ url: '/api/v1' }],
    security: [{ key: [] }, { session: [] }],
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer' }, session: { type: 'apiKey', in: 'cookie', name: 'kith_session' } },
      schemas,
    },
    paths,
  };
}

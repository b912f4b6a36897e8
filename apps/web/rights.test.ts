/**
 * The matrix of rights: everybody × every route, ticket, join and message × what
 * is theirs, what is shared and what is others'. It is made from the installed
 * plugins, the table of routes and the kinds of messages, so that whatever is
 * added is in it; what has no rule here fails. After each refusal the database
 * is as it was, and no answer holds a value that is not for whoever got it.
 */
import { LIST_OPS, MESSAGE_KINDS } from '@kith/collab';
import { routes, routesOf, stateOf } from '@kith/core/testing';
import { servers } from '@kith/installed/server';
import { Listener } from '@kith/core/testing/listener';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import * as Y from 'yjs';
import { facetsFor, minimal, pluginRule, rules, type Cell } from './testing/rights/routes.ts';
import { forbiddenTo, mayOpen, maySee, portalFor, rightsWorld, SIDES, type Caller, type RightsWorld } from './testing/rights/world.ts';

/** The fewest cells that the matrix may have. */
const FEWEST = 5_000;
/** Requests at once. */
const WIDTH = 6;
/** Refusals between two looks at the database. */
const TOGETHER = 48;
/** Failures that are shown of one route. */
const SHOWN = 12;

let world: RightsWorld;
let cells = 0;
let refusals = 0;
const forbidden = new Map<Caller, string[]>();

beforeAll(async () => {
  world = await rightsWorld();
  for (const caller of world.callers) forbidden.set(caller, forbiddenTo(world, caller));
});
afterAll(async () => {
  process.stdout.write(`rights: ${cells} cells, ${refusals} of them refused, ${world.callers.length} callers, ${all.length} routes\n`);
  await world.close();
});

/** What of others a text holds, besides what whoever asked said themselves. */
const leaks = (caller: Caller, text: string, asked: string): string[] =>
  forbidden.get(caller)!.filter((mark) => text.includes(mark) && !asked.includes(mark));

async function ask(
  method: string,
  caller: Caller,
  { path, body, headers }: Pick<Cell, 'path' | 'body' | 'headers'>,
): Promise<{ status: number; text: string }> {
  const response = await world.runtime.api.handle(
    new Request(`http://kith.internal/api/v1${path}`, {
      method,
      headers: { ...caller.headers, ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
    { ip: '127.0.0.1' },
  );
  return { status: response.status, text: await textFrom(response) };
}

/** How long a stream is listened to after it last said something. */
const LISTEN_MS = 120;

/** What comes back; of a stream, what it tells until it is quiet. */
async function textFrom(response: Response): Promise<string> {
  if (response.headers.get('content-type') !== 'text/event-stream') return response.text();
  const listener = new Listener(response.body!);
  for (let size = -1; size < listener.text.length; await pause(LISTEN_MS)) size = listener.text.length;
  await listener.close();
  return JSON.stringify(listener.heard.map(({ event, data }) => ({ event, ...data })));
}

/** A refusal without what necessarily differs: the path that was asked for. */
function gist(text: string, ...gone: string[]): string {
  const { status, code, detail, errors } = JSON.parse(text) as Record<string, unknown>;
  return gone.reduce((all, one) => all.replaceAll(one, '…'), JSON.stringify({ status, code, detail, errors }));
}

async function tryCell(method: string, caller: Caller, cell: Cell): Promise<string | undefined> {
  const { status, text } = await ask(method, caller, cell);
  const say = (what: string): string =>
    `${caller.name}, ${cell.what}: ${what} (${cell.path} ${JSON.stringify(cell.body) ?? ''} → ${status} ${text.slice(0, 300)})`;
  if (!cell.expect.includes(status)) return say(`${status} instead of ${cell.expect.join(' or ')}`);
  const found = leaks(caller, text, decodeURIComponent(cell.path) + (JSON.stringify(cell.body) ?? ''));
  if (found.length > 0) return say(`gives away ${found.slice(0, 3).join(', ')}`);
  if (status < 300 && cell.check && text !== '') {
    const wrong = cell.check(JSON.parse(text));
    if (wrong !== undefined) return say(wrong);
  }
  if (status >= 400 && cell.like) {
    const other = await ask(method, caller, { ...cell, ...cell.like });
    const names = [...world.objects.flatMap((object) => [...object.fields.keys()]), 'nowhere'].sort((a, b) => b.length - a.length);
    const [mine, theirs] = [gist(text, ...names), gist(other.text, ...names)];
    if (mine !== theirs) return say(`is refused otherwise than what is not there: ${theirs}`);
  }
  return undefined;
}

/** Runs jobs, some at a time, and answers what went wrong. */
async function run(jobs: readonly (() => Promise<string | undefined>)[]): Promise<string[]> {
  const wrong: string[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (;;) {
      const job = jobs[next++];
      if (!job) return;
      const problem = await job();
      if (problem !== undefined) wrong.push(problem);
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, worker));
  return wrong;
}

/** The host's routes and those of the installed plugins. */
const all = routesOf(servers);

describe('every route', () => {
  it('has a rule', () => {
    expect(Object.keys(rules).sort()).toEqual(routes.map((route) => `${route.method} ${route.path}`).sort());
    for (const { method, path } of all) expect(rules[`${method} ${path}`] ?? path.startsWith('/x/')).toBeTruthy();
  });

  for (const route of all) {
    const { method, path } = route;
    const name = `${method} ${path}`;
    it(name, { timeout: 120_000 }, async () => {
      const rule = rules[name] ?? pluginRule(route);
      const [refused, allowed]: [(() => Promise<string | undefined>)[], (() => Promise<string | undefined>)[]] = [[], []];
      for (const caller of world.callers) {
        for (const cell of await rule(world, caller))
          (cell.expect.every((status) => status >= 400) ? refused : allowed).push(() => tryCell(method, caller, cell));
      }
      cells += refused.length + allowed.length;
      refusals += refused.length;
      const wrong = await withoutTrace(refused);
      wrong.push(...(await run(allowed)));
      expect(wrong.slice(0, SHOWN), `${wrong.length} of ${refused.length + allowed.length}`).toEqual([]);
    });
  }

  /** Refused writes, with the database compared before and after; where one changed it, each is tried alone, to name it. */
  async function withoutTrace(jobs: readonly (() => Promise<string | undefined>)[]): Promise<string[]> {
    const wrong: string[] = [];
    for (let i = 0; i < jobs.length; i += TOGETHER) {
      const some = jobs.slice(i, i + TOGETHER);
      let before = JSON.stringify(await stateOf(world.runtime.pool));
      wrong.push(...(await run(some)));
      if (JSON.stringify(await stateOf(world.runtime.pool)) === before) continue;
      before = JSON.stringify(await stateOf(world.runtime.pool));
      for (const [at, job] of some.entries()) {
        const problem = await job();
        const after = JSON.stringify(await stateOf(world.runtime.pool));
        if (after !== before) wrong.push(`refusal ${i + at} changed the database (${problem ?? ''}): ${before} → ${after}`);
        before = after;
      }
    }
    return wrong;
  }

  it('takes a write with a cookie from Kith’s own pages only', async () => {
    const jobs = all
      .filter((route) => route.method !== 'GET' && route.access !== 'public')
      .flatMap((route) =>
        world.callers
          .filter((caller) => caller.via === 'cookie')
          .map((caller) => async (): Promise<string | undefined> => {
            const path = route.path.replace('{object}', world.objects[0]!.name).replace(/\{\w+\}/g, caller.id);
            const { status, text } = await ask(route.method, caller, { path, body: {}, headers: { origin: 'https://evil.example' } });
            const { code } = JSON.parse(text) as { code: string };
            return status === 403 && (code === 'wrong_origin' || caller.preview)
              ? undefined
              : `${caller.name} ${route.method} ${path}: ${status} ${text}`;
          }),
      );
    cells += jobs.length;
    refusals += jobs.length;
    expect(await withoutTrace(jobs)).toEqual([]);
  });
});

/** A socket that keeps what it heard. */
interface Line {
  ws: WebSocket;
  heard: Buffer[];
  closed: Promise<number>;
  code: () => number | undefined;
}
function dial(path: string, headers: Record<string, string>): Line {
  const ws = new WebSocket(`${world.url}${path}`, { headers });
  const heard: Buffer[] = [];
  let code: number | undefined;
  ws.on('message', (data: Buffer) => heard.push(data));
  ws.on('error', () => undefined);
  const closed = new Promise<number>((resolve) =>
    ws.on('close', (reason) => {
      code = reason;
      resolve(reason);
    }),
  );
  return { ws, heard, closed, code: () => code };
}
async function until(condition: () => boolean, ms = 3_000): Promise<boolean> {
  const end = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  return true;
}
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const varUint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varUint(value >>> 7)]);
/** A frame of the protocol: sync 0 (step 1, step 2, update), awareness 1, query 3. */
const frame = (kind: number[], payload: Uint8Array): Uint8Array => new Uint8Array([...kind, ...varUint(payload.length), ...payload]);
const STEP_1 = [0, 0];
const STEP_2 = [0, 1];
const UPDATE = [0, 2];
/** The document of step 2 in what was heard; undefined while it has not come. */
function documentOf(heard: readonly Buffer[]): Y.Doc | undefined {
  const answer = heard.find((one) => one[0] === 0 && one[1] === 1);
  if (!answer) return undefined;
  let [at, size, shift] = [2, 0, 0];
  for (; ; at++) {
    size |= (answer[at]! & 127) << shift;
    shift += 7;
    if (answer[at]! < 128) break;
  }
  const doc = new Y.Doc();
  Y.applyUpdate(doc, new Uint8Array(answer.subarray(at + 1, at + 1 + size)));
  return doc;
}
const textOf = (line: Line): string => line.heard.map((one) => one.toString('utf8')).join('\n');

const NONE = '01999999-9999-7999-8999-999999999999';

describe('every join', () => {
  it('of every document opens what is theirs, and nothing else', { timeout: 120_000 }, async () => {
    const jobs: (() => Promise<string | undefined>)[] = [];
    for (const caller of world.callers) {
      // A preview's documents open by its tickets; its cookie is the manager's own.
      if (caller.preview) continue;
      for (const object of world.objects) {
        for (const [side, id] of [...SIDES.map((one) => [one, world.records.get(object.name)![one].id]), ['nowhere', NONE]] as [
          string,
          string,
        ][]) {
          for (const facet of [...object.facets.map((one) => one.name), 'nowhere']) {
            const rec = side === 'nowhere' ? undefined : world.records.get(object.name)![side as 'A' | 'B'];
            const see = rec !== undefined && maySee(object, rec, caller);
            const join = see ? facetsFor(object, caller).find((one) => one.name === facet) : undefined;
            const staff = caller.role !== undefined;
            const wanted =
              caller.via === 'nothing'
                ? [4401]
                : join
                  ? undefined
                  : facet === 'nowhere' || !see
                    ? [4404, ...(staff ? [] : [4403])]
                    : [4403, 4404];
            jobs.push(async () => {
              const line = dial(`/collab/${object.name}/${id}/${facet}`, caller.headers);
              const say = (what: string): string => `${caller.name} joins ${object.name} ${side} ${facet}: ${what}`;
              try {
                await until(() => line.ws.readyState === line.ws.OPEN || line.code() !== undefined);
                if (line.ws.readyState === line.ws.OPEN) line.ws.send(frame(STEP_1, new Uint8Array([0])));
                await until(() => line.code() !== undefined || documentOf(line.heard) !== undefined);
                const found = leaks(caller, textOf(line), '');
                if (found.length > 0) return say(`gives away ${found.slice(0, 3).join(', ')}`);
                if (wanted) {
                  const code = line.code();
                  return code !== undefined && wanted.includes(code)
                    ? undefined
                    : say(`${code ?? 'open'} instead of ${wanted.join(' or ')}`);
                }
                if (line.code() !== undefined) return say(`closed with ${line.code()}`);
                return undefined;
              } finally {
                line.ws.terminate();
              }
            });
          }
        }
      }
    }
    cells += jobs.length;
    const before = await stateOf(world.runtime.pool);
    expect((await run(jobs)).slice(0, SHOWN)).toEqual([]);
    await world.collab.idle();
    // A first join writes down what the columns say; rows stay what they are.
    const rows = (state: Record<string, string>): [string, string][] => Object.entries(state).filter(([name]) => !name.startsWith('kith.'));
    expect(rows(await stateOf(world.runtime.pool))).toEqual(rows(before));
  });

  it('takes messages of every kind, and edits only of what may be written', { timeout: 120_000 }, async () => {
    const jobs: (() => Promise<string | undefined>)[] = [];
    const sent = new Set<string>();
    for (const caller of world.callers.filter((one) => one.audience !== undefined || one.role === 'reader')) {
      for (const object of world.objects) {
        for (const side of SIDES) {
          const rec = world.records.get(object.name)![side];
          if (!maySee(object, rec, caller)) continue;
          for (const facet of facetsFor(object, caller)) {
            const { fields } = object.facets.find((one) => one.name === facet.name)!;
            const beyond = [...object.fields.keys()].find((name) => !fields.has(name)) ?? 'nowhere';
            const edit = (name: string): Uint8Array => {
              const doc = new Y.Doc();
              doc.getText(name).insert(0, 'smuggled');
              doc.getMap('fields').set(name, 'smuggled');
              return Y.encodeStateAsUpdate(doc);
            };
            const boss = Buffer.from('{"user":{"name":"Boss"}}');
            const open = (code: number | undefined): boolean => code === undefined;
            const refused = (code: number | undefined): boolean => (facet.access === 'write' ? code === 4403 : code === undefined);
            const cases: [kind: string, what: string, message: Uint8Array | string, fits: (code: number | undefined) => boolean][] = [
              ['step1', 'a question for all there is', frame(STEP_1, new Uint8Array([0])), open],
              ['step2', 'step 2 beyond the document', frame(STEP_2, edit(beyond)), refused],
              ['update', 'an update beyond the document', frame(UPDATE, edit(beyond)), refused],
              ['update', 'an update of an unknown root', frame(UPDATE, edit('unknown')), refused],
              ['update', 'a broken update', frame(UPDATE, new Uint8Array([255, 255, 255])), (code) => code === undefined || code >= 4400],
              ['awareness', 'presence', frame([1], new Uint8Array([1, 7, 1, boss.length, ...boss])), open],
              ['query', 'a question who is here', new Uint8Array([3]), open],
              ['other', 'a message of an unknown kind', new Uint8Array([77, 1, 2]), open],
              ['other', 'text', 'hello', (code) => code === 4400],
            ];
            for (const [kind] of cases) sent.add(kind);
            for (const [, what, message, fits] of cases) {
              jobs.push(async () => {
                const { text } = await ask('POST', caller, { path: '/collab/ticket', body: { object: object.name, id: rec.id } });
                const { ticket } = (JSON.parse(text) as { facets: { name: string; ticket: string }[] }).facets.find(
                  (one) => one.name === facet.name,
                )!;
                const line = dial(`/collab/${object.name}/${rec.id}/${facet.name}?ticket=${ticket}`, {});
                const say = (problem: string): string => `${caller.name} sends ${what} to ${object.name} ${side} ${facet.name}: ${problem}`;
                try {
                  await until(() => line.heard.length > 0 || line.code() !== undefined);
                  if (line.code() !== undefined) return say(`closed with ${line.code()} before`);
                  line.ws.send(message);
                  line.ws.send(frame(STEP_1, new Uint8Array([0])));
                  await until(() => line.code() !== undefined || documentOf(line.heard) !== undefined, 1_000);
                  const found = leaks(caller, textOf(line), '');
                  if (found.length > 0) return say(`gives away ${found.slice(0, 3).join(', ')}`);
                  if (textOf(line).includes('smuggled')) return say('was taken in');
                  // The ticket is used up, and nobody is behind it.
                  const again = dial(`/collab/${object.name}/${rec.id}/${facet.name}?ticket=${ticket}`, {});
                  const second = await again.closed;
                  if (second !== 4401) return say(`a used ticket: ${second}`);
                  return fits(line.code()) ? undefined : say(`${line.code() ?? 'open'}`);
                } finally {
                  line.ws.terminate();
                }
              });
            }
          }
        }
      }
    }
    cells += jobs.length;
    const rows = async (): Promise<[string, string][]> =>
      Object.entries(await stateOf(world.runtime.pool)).filter(([name]) => !name.startsWith('kith.'));
    const before = await rows();
    expect((await run(jobs)).slice(0, SHOWN)).toEqual([]);
    await world.collab.idle();
    expect(await rows()).toEqual(before);
    expect([...sent].sort()).toEqual([...MESSAGE_KINDS].sort());
  });

  it('by a ticket opens that one document, whoever holds it', { timeout: 60_000 }, async () => {
    const jobs: (() => Promise<string | undefined>)[] = [];
    for (const caller of world.callers) {
      for (const object of world.objects) {
        const rec = SIDES.map((side) => world.records.get(object.name)![side]).find((one) => maySee(object, one, caller));
        if (!rec || caller.role === 'member' || caller.role === 'manager') continue;
        for (const facet of facetsFor(object, caller)) {
          for (const [what, place] of [
            ['another document', `${object.name}/${rec.id}/${object.facets.find((one) => one.name !== facet.name)?.name ?? 'nowhere'}`],
            ['another record', `${object.name}/${NONE}/${facet.name}`],
            ['another object', `${world.objects.find((one) => one !== object)!.name}/${rec.id}/${facet.name}`],
          ] as const) {
            jobs.push(async () => {
              const { text } = await ask('POST', caller, { path: '/collab/ticket', body: { object: object.name, id: rec.id } });
              const { ticket } = (JSON.parse(text) as { facets: { name: string; ticket: string }[] }).facets.find(
                (one) => one.name === facet.name,
              )!;
              const line = dial(`/collab/${place}?ticket=${ticket}`, {});
              await until(() => line.code() !== undefined, 2_000);
              line.ws.terminate();
              return line.code() === 4401
                ? undefined
                : `${caller.name} uses a ticket of ${object.name} ${facet.name} for ${what}: ${line.code() ?? 'open'}`;
            });
          }
        }
      }
    }
    cells += jobs.length;
    refusals += jobs.length;
    expect((await run(jobs)).slice(0, SHOWN)).toEqual([]);
  });
});

describe('every live list', () => {
  const watching = (line: Line): boolean => line.heard.some((one) => one.toString().includes('"watching"'));

  it('is watched by those who may read it, by fields that they may read', { timeout: 120_000 }, async () => {
    const jobs: (() => Promise<string | undefined>)[] = [];
    // What there is to say, and one thing that there is not.
    const sent = new Set(['watch']);
    for (const caller of world.callers) {
      const path = caller.preview ? `/live?as=${caller.headers['kith-as']!}` : '/live';
      for (const object of world.objects) {
        const portal = portalFor(object, caller);
        const may = mayOpen(object, caller) && caller.via !== 'nothing';
        const variants: [string, Record<string, unknown>, boolean][] = [['all', {}, may]];
        if (caller.audience !== undefined || caller.role === 'reader') {
          for (const name of object.fields.keys())
            variants.push([name, { filter: { field: name, op: 'isNull', value: false } }, may && (portal ? portal.read.has(name) : true)]);
        }
        for (const [what, more, wanted] of variants) {
          jobs.push(async () => {
            const line = dial(path, caller.headers);
            try {
              await until(() => line.ws.readyState === line.ws.OPEN || line.code() !== undefined);
              line.ws.send(JSON.stringify({ op: 'watch', id: 'w', object: object.name, ...more }));
              await until(() => line.code() !== undefined || watching(line));
              const found = leaks(caller, textOf(line), '');
              const say = (problem: string): string => `${caller.name} watches ${object.name} by ${what}: ${problem}`;
              if (found.length > 0) return say(`gives away ${found.slice(0, 3).join(', ')}`);
              // A field that nobody may compare is refused to all.
              if (wanted && what !== 'all' && line.code() === 4400) return undefined;
              return watching(line) === wanted ? undefined : say(`${line.code() ?? 'watching'}`);
            } finally {
              line.ws.terminate();
            }
          });
        }
      }
      for (const [what, message] of [
        ['unwatch', { id: 'x' }],
        ['here', { object: world.objects[0]!.name, recordId: NONE }],
        ['rule', {}],
      ] as const) {
        sent.add(what);
        jobs.push(async () => {
          const line = dial(path, caller.headers);
          await until(() => line.ws.readyState === line.ws.OPEN || line.code() !== undefined);
          if (line.ws.readyState === line.ws.OPEN) line.ws.send(JSON.stringify({ op: what, ...message }));
          await until(() => line.code() !== undefined, 150);
          const [code, found] = [line.code(), leaks(caller, textOf(line), '')];
          line.ws.terminate();
          const wanted = caller.via === 'nothing' ? 4401 : what === 'rule' ? 4400 : undefined;
          return code === wanted && found.length === 0 ? undefined : `${caller.name} sends ${what}: ${code} ${found.join(' ')}`;
        });
      }
    }
    cells += jobs.length;
    const before = await stateOf(world.runtime.pool);
    expect((await run(jobs)).slice(0, SHOWN)).toEqual([]);
    expect(await stateOf(world.runtime.pool)).toEqual(before);
    expect([...sent].sort()).toEqual([...LIST_OPS, 'rule'].sort());
  });

  it('tells nobody of what is not theirs', { timeout: 120_000 }, async () => {
    const outside = world.callers.filter((caller) => caller.audience !== undefined);
    const lines = new Map<Caller, Line>();
    for (const caller of outside) {
      const line = dial(caller.preview ? `/live?as=${caller.headers['kith-as']!}` : '/live', caller.headers);
      lines.set(caller, line);
      await until(() => line.ws.readyState === line.ws.OPEN);
      const open = world.objects.filter((object) => portalFor(object, caller));
      for (const object of open) line.ws.send(JSON.stringify({ op: 'watch', id: object.name, object: object.name }));
      await until(() => line.heard.filter((one) => one.toString().includes('"watching"')).length === open.length);
    }
    /** Every line's frames since, after a change of one field of one record. */
    const wrong: string[] = [];
    for (const object of world.objects.filter((one) => one.portals.size > 0)) {
      for (const side of SIDES) {
        const { id, fields } = world.records.get(object.name)![side];
        for (const field of object.fields.values()) {
          if (field.mode !== 'live' && field.mode !== 'restricted') continue;
          if (!['text', 'longText', 'number', 'money'].includes(field.type)) continue;
          const marks = [...lines.values()].map((line) => line.heard.length);
          const sentinel = `kanarie${object.key}${side}${field.name}`;
          const value =
            field.type === 'number'
              ? Number(fields[field.name] ?? 0) + 1
              : field.type === 'money'
                ? { amount: '654321.98', currency: 'USD' }
                : sentinel;
          const mark = field.type === 'money' ? '654321.98' : field.type === 'number' ? String(value) : sentinel;
          await world.runtime.records.patch(world.actor, object, id, { [field.name]: value });
          const rec = await world.look(object.name, id);
          const readers = outside.filter(
            (caller) => maySee(object, rec, caller) && portalFor(object, caller)!.read.has(field.name) && field.type !== 'longText',
          );
          await until(() =>
            readers.every((reader) =>
              lines
                .get(reader)!
                .heard.slice(marks[outside.indexOf(reader)])
                .some((one) => one.toString().includes(id)),
            ),
          );
          if (readers.length === 0) await pause(60);
          for (const [i, caller] of outside.entries()) {
            cells++;
            const text = lines.get(caller)!.heard.slice(marks[i]).map(String).join('\n');
            const see = maySee(object, rec, caller);
            if (!see && text.includes(id)) wrong.push(`${caller.name} hears of ${object.name} ${side}`);
            if ((!see || !portalFor(object, caller)!.read.has(field.name)) && text.includes(mark))
              wrong.push(`${caller.name} hears ${field.name} of ${object.name} ${side}`);
            if (readers.includes(caller) && !text.includes(id))
              wrong.push(`${caller.name} does not hear ${field.name} of ${object.name} ${side}`);
            const found = leaks(caller, text, '');
            if (found.length > 0)
              wrong.push(`${caller.name} hears ${found.slice(0, 3).join(', ')} upon ${field.name} of ${object.name} ${side}`);
          }
        }
      }
    }
    for (const line of lines.values()) line.ws.terminate();
    expect(wrong.slice(0, SHOWN)).toEqual([]);
  });
});

describe('what partners may do', () => {
  it('they can: write what is opened, create what is opened, and say who they are', async () => {
    const wrong: string[] = [];
    for (const caller of world.callers.filter((one) => one.company !== undefined && !one.preview)) {
      for (const object of world.objects) {
        const portal = portalFor(object, caller);
        const rec = portal && SIDES.map((side) => world.records.get(object.name)![side]).find((one) => maySee(object, one, caller));
        if (!portal || !rec) continue;
        for (const name of portal.write) {
          const { spec } = object.fields.get(name)!;
          const value = spec.type === 'number' ? 3 : spec.type === 'date' ? '2031-05-06' : 'kanarienvogel';
          const answer = await ask('PATCH', caller, { path: `/records/${object.name}/${rec.id}`, body: { [name]: value } });
          if (answer.status !== 200) wrong.push(`${caller.name} writes ${name}: ${answer.text}`);
          cells++;
        }
        if (portal.create) {
          const body = minimal(world, object, caller);
          const answer = await ask('POST', caller, { path: `/records/${object.name}`, body });
          if (answer.status !== 201) wrong.push(`${caller.name} creates ${object.name}: ${answer.text}`);
          cells++;
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe('the matrix', () => {
  it('is as large as it has to be', () => {
    expect(cells).toBeGreaterThanOrEqual(FEWEST);
  });
});

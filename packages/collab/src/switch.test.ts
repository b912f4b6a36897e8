/** Plugins switched off while people have their records open. */
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import { partnerOf } from '@kith/core/testing/outsiders';
import { shop, shopServer, yard, yardServer } from '@kith/core/testing/yard';
import type { Rec } from '@kith/sdk';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type * as Y from 'yjs';
import { connectTo, serve, until, type Client, type Node } from '../testing/world.ts';

let world: TestWorld;
let near: Node;
let far: Node;
let key: string;
const clients: Client[] = [];

beforeEach(async () => {
  world = await createTestWorld({ plugins: [shop, yard], servers: [shopServer, yardServer] });
  near = await serve(world.runtime);
  far = await serve(await world.another());
  key = await world.key('admin');
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.leave();
  await near.stop();
  await far.stop();
  await world.close();
});

const make = async (object: string, fields: object): Promise<string> =>
  ((await world.request('POST', `/records/${object}`, { key, body: fields })).body as Rec).id;
const join = async (
  node: Node,
  object: string,
  id: string,
  facet: string,
  headers?: Record<string, string>,
  doc?: Y.Doc,
): Promise<Client> => {
  const client = connectTo(node, { object, id, facet, headers: headers ?? { authorization: `Bearer ${key}` }, ...(doc ? { doc } : {}) });
  clients.push(client);
  await until(() => client.provider.synced || client.closes.length > 0);
  return client;
};
const note = async (id: string): Promise<unknown> => {
  const { rows } = await world.runtime.pool.query<{ note: string }>('select note from yard.crate where id = $1', [id]);
  return rows[0]?.note;
};

it('closes their documents everywhere with all that was typed, leaves others alone, and opens them again', async () => {
  const item = await make('shop.item', { name: 'Lamp' });
  const crate = await make('yard.crate', { name: 'one', keeper: item });
  const ann = await partnerOf(world.runtime, 'keeper', item, 'Ann');
  const facet = world.runtime.model.objects.get('yard.crate')!.facets.find(({ fields }) => fields.has('note'))!.name;
  const theirs = { ...ann.headers, origin: `http://localhost:${far.port}` };
  const staff = await join(near, 'yard.crate', crate, facet);
  const partner = await join(far, 'yard.crate', crate, facet, theirs);
  const lamp = await join(far, 'shop.item', item, 'staff');

  // Typed until the very moment.
  staff.doc.getText('note').insert(0, 'from staff ');
  partner.doc.getText('note').insert(0, 'from Ann ');
  await Promise.all([staff.saved(), partner.saved()]);
  staff.doc.getText('note').insert(0, 'at the last moment ');
  expect((await world.request('POST', '/plugins/yard/disable', { key })).status).toBe(200);
  await until(() => staff.closes.length > 0 && partner.closes.length > 0);
  expect([staff.closes, partner.closes]).toEqual([[4404], [4404]]);
  expect(lamp.closes).toEqual([]);
  lamp.doc.getMap('fields').set('name', 'Lantern');
  await lamp.saved();
  expect((await join(near, 'yard.crate', crate, facet)).closes).toEqual([4404]);
  expect((await join(far, 'yard.crate', crate, facet, theirs)).closes).toEqual([4404]);

  expect((await world.request('POST', '/plugins/yard/enable', { key })).status).toBe(200);
  // Whoever comes back brings what was not acknowledged, as a browser that kept it does.
  const again = await join(near, 'yard.crate', crate, facet, undefined, staff.doc);
  await again.saved();
  const back = await join(far, 'yard.crate', crate, facet, theirs);
  await until(() => back.doc.getText('note').toString().includes('at the last moment'));
  const text = back.doc.getText('note').toString();
  for (const typed of ['from staff ', 'from Ann ', 'at the last moment ']) expect(text.split(typed).length, typed).toBe(2);
  expect(await note(crate)).toBe(text);
  expect(lamp.closes).toEqual([]);
});

it('keeps the values of its fields in others’ documents while it is off', async () => {
  const item = await make('shop.item', { name: 'Lamp', yard__shelf: 'B' });
  const before = await join(near, 'shop.item', item, 'staff');
  expect(before.doc.getMap('fields').get('yard__shelf')).toBe('B');
  await world.request('POST', '/plugins/yard/disable', { key });
  before.doc.getMap('fields').set('size', 3);
  await before.saved();
  before.leave();
  await world.request('POST', '/plugins/yard/enable', { key });
  const { body } = await world.request('GET', `/records/shop.item/${item}`, { key });
  expect((body as Rec).fields).toMatchObject({ yard__shelf: 'B', size: 3 });
  expect((await join(far, 'shop.item', item, 'staff')).doc.getMap('fields').toJSON()).toMatchObject({ yard__shelf: 'B', size: 3 });
});

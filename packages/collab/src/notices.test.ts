/** The bell over the socket of live lists: every window of a person hears that something changed, and nobody else. */
import { createTestWorld, type TestWorld } from '@kith/core/testing';
import type { Principal } from '@kith/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { crm, serve, server, until, type Node } from '../testing/world.ts';

let world: TestWorld;
let node: Node;
let nancy: Principal;
let andrew: Principal;
beforeAll(async () => {
  world = await createTestWorld({ plugins: [crm], servers: [server] });
  node = await serve(world.runtime);
  [nancy, andrew] = [await world.person('Nancy Davolio'), await world.person('Andrew Fuller')];
});
afterAll(async () => {
  await node.stop();
  await world.close();
});

const cookieOf = async (who: Principal): Promise<string> => (await world.runtime.sessions.open(who.id)).split(';', 1)[0]!;
async function listen(who: Principal): Promise<{ ws: WebSocket; heard: unknown[] }> {
  const ws = new WebSocket(`${node.url}/live`, { headers: { cookie: await cookieOf(who), origin: `http://localhost:${node.port}` } });
  const heard: unknown[] = [];
  ws.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString()) as { op: string };
    // Said to everybody who comes.
    if (message.op !== 'plugins') heard.push(message);
  });
  await new Promise((resolve, reject) => ws.on('open', resolve).on('error', reject));
  return { ws, heard };
}

it('tells all windows of whom it concerns, without anything being watched', async () => {
  const [one, two, other] = [await listen(nancy), await listen(nancy), await listen(andrew)];
  const read = await world.request('POST', '/notices/read', {
    body: {},
    headers: { cookie: await cookieOf(nancy), origin: `http://localhost:${node.port}` },
  });
  expect(read.status).toBe(200);
  await until(() => one.heard.length > 0 && two.heard.length > 0);
  expect([one.heard, two.heard]).toEqual([[{ op: 'notices' }], [{ op: 'notices' }]]);
  // Told about himself, he has heard of nothing before.
  world.runtime.bus.noticed([andrew.id]);
  await until(() => other.heard.length > 0);
  expect(other.heard).toEqual([{ op: 'notices' }]);
  expect(one.heard).toHaveLength(1);
  for (const { ws } of [one, two, other]) ws.close();
});

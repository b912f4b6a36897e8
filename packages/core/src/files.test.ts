/** Files that plugins keep: whole, with their transaction, and each plugin's own. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestWorld, type TestWorld } from './testing.ts';
import { shop, shopServer, yard, yardServer } from './testing/yard.ts';

let world: TestWorld;
beforeAll(async () => {
  world = await createTestWorld({ plugins: [shopServer, yardServer] });
});
afterAll(() => world.close());

const parts = async (): Promise<number> =>
  (await world.runtime.pool.query<{ n: number }>('select count(*)::int as n from kith.file_part')).rows[0]!.n;

it.each([0, 1, 262_144, 262_145, 3_000_000])('gives back %d bytes as they were', async (size) => {
  const data = randomBytes(size);
  // A view into something larger, as buffers from a pool are.
  const kept = await world.run(yard, (ctx) => ctx.files.keep({ name: 'a.bin', data: Buffer.concat([Buffer.from('x'), data]).subarray(1) }));
  expect(kept).toMatchObject({ name: 'a.bin', type: 'application/octet-stream', size });
  const read = await world.run(yard, (ctx) => ctx.files.read(kept.id));
  expect(Buffer.from(read!.data).equals(data)).toBe(true);
  await world.run(yard, (ctx) => ctx.files.remove(kept.id));
  expect(await world.run(yard, (ctx) => ctx.files.read(kept.id))).toBeNull();
  expect(await parts()).toBe(0);
});

it('keeps nothing of a transaction that fails, and refuses what is too large', async () => {
  const failing = world.run(yard, async (ctx) => {
    await ctx.files.keep({ name: 'a.txt', data: Buffer.from('a') });
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  await expect(world.run(yard, (ctx) => ctx.files.keep({ name: 'a', data: Buffer.alloc(25_000_001) }))).rejects.toThrow(
    'larger than 25 MB',
  );
  expect(await parts()).toBe(0);
});

it('is of one plugin: no other reads or removes it', async () => {
  const { id } = await world.run(yard, (ctx) => ctx.files.keep({ name: 'a.txt', data: Buffer.from('a') }));
  expect(await world.run(shop, (ctx) => ctx.files.read(id))).toBeNull();
  await world.run(shop, (ctx) => ctx.files.remove(id));
  expect(await world.run(yard, (ctx) => ctx.files.read(id))).not.toBeNull();
  await expect(world.run(yard, (ctx) => ctx.files.read('no id'))).resolves.toBeNull();
});

it.each([
  ['../../etc/passwd', 'passwd'],
  ['C:\\temp\\report.pdf', 'report.pdf'],
  ['a\r\nset-cookie: b', 'aset-cookie: b'],
  ['exe\u202efdp.txt', 'exefdp.txt'],
  ['  ', 'file'],
])('takes %j for the name %j', async (name, plain) => {
  const kept = await world.run(yard, (ctx) => ctx.files.keep({ name, type: 'text/html\r\nx: y', data: Buffer.from('a') }));
  expect([kept.name, kept.type]).toEqual([plain, 'application/octet-stream']);
});

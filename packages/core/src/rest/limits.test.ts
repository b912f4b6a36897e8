/** What is open to everybody is open to each only so often. */
import { definePlugin, defineServer } from '@kith/sdk';
import { describe, expect, it } from 'vitest';
import { BootError, modelOf } from '../runtime.ts';
import { createTestWorld } from '../testing.ts';
import { callerAddress, Limits } from './limits.ts';

const open = definePlugin({ id: 'open', version: '1.0.0', sdk: '^1.0.0', part: 'operational', locales: { en: { 'plugin.open': 'Open' } } });
const route = { method: 'GET', path: '/form', access: 'public', summary: 'x', handle: () => Promise.resolve({ body: 'in' }) } as const;
const server = defineServer(open, {
  routes: [
    { ...route, perMinute: 3 },
    { ...route, path: '/other' },
  ],
});

it('refuses an address that asks too often, and nobody else', async () => {
  const world = await createTestWorld({ plugins: [open], servers: [server] });
  const ask = async (ip: string, path = '/form', forwarded?: string): Promise<Response> =>
    world.runtime.api.handle(
      new Request(`http://kith.internal/api/v1/x/open${path}`, forwarded ? { headers: { 'x-forwarded-for': forwarded } } : {}),
      { ip },
    );
  for (let i = 0; i < 3; i++) expect((await ask('203.0.113.7')).status).toBe(200);
  const refused = await ask('203.0.113.7');
  expect([refused.status, Number(refused.headers.get('retry-after'))]).toEqual([429, 20]);
  expect(((await refused.json()) as { code: string }).code).toBe('too_many_requests');
  expect((await ask('203.0.113.8')).status).toBe(200);
  expect((await ask('203.0.113.7', '/other')).status).toBe(200);
  // Behind a proxy of the house everybody is who the proxy says, and nobody else may say who they are.
  for (let i = 0; i < 5; i++) expect((await ask('127.0.0.1', '/form', `203.0.113.7, 198.51.100.${i}`)).status).toBe(200);
  expect((await ask('203.0.113.7', '/form', '198.51.100.9')).status).toBe(429);
  await world.close();
});

it('makes room again as time goes by, and forgets', () => {
  let now = 0;
  const limits = new Limits(() => now);
  const takes = (key: string): boolean => {
    try {
      limits.take(key, 60);
      return true;
    } catch {
      return false;
    }
  };
  for (let i = 0; i < 60; i++) expect(takes('a')).toBe(true);
  expect(takes('a')).toBe(false);
  now += 999;
  expect(takes('a')).toBe(false);
  // What is refused costs nothing.
  now += 1;
  expect([takes('a'), takes('a')]).toEqual([true, false]);
  now += 600_000;
  for (let i = 0; i < 60; i++) expect(takes('a')).toBe(true);
  expect(takes('a')).toBe(false);
  for (let i = 0; i < 20_000; i++) limits.take(`b${i}`, 60);
  expect(takes('a')).toBe(true);
});

describe('an address', () => {
  it.each([
    [null, '203.0.113.7', '203.0.113.7'],
    [null, '::ffff:203.0.113.7', '203.0.113.7'],
    ['198.51.100.1', '10.0.0.2', '198.51.100.1'],
    ['198.51.100.1, 198.51.100.2', '127.0.0.1', '198.51.100.2'],
    ['198.51.100.1', '203.0.113.7', '203.0.113.7'],
    ['nonsense', '127.0.0.1', '127.0.0.1'],
    [null, '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    [null, '2001:db8::1', '2001:db8:0:0::/64'],
    [null, '::1', '0:0:0:0::/64'],
  ])('%s from %s counts for %s', (forwarded, ip, key) => {
    expect(callerAddress(forwarded, ip)).toBe(key);
  });
});

it('is said of public routes only, as a whole number', () => {
  const start = (more: object): unknown => modelOf([open], [{ ...server, routes: [{ ...route, ...more }] }]);
  expect(() => start({ perMinute: 0 })).toThrow(BootError);
  expect(() => start({ access: 'staff', perMinute: 5 })).toThrow('Plugin "open": route GET /form has "perMinute"');
});

/** What the benches stand on: a Postgres of their own in a temporary folder, with the installed plugins, and tables in print. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createRuntime, migrate, type Runtime } from '@kith/core/runtime';
import { startEmbedded } from '@kith/core/postgres/embedded';
import { testEnv } from '@kith/core/testing';
import { plugins } from '@kith/installed/plugins';
import { servers } from '@kith/installed/server';

export const quick = process.argv.includes('--quick');

/** A migrated database on a fresh server, which `close` takes away. */
export async function scratchDatabase(): Promise<{ url: string; close: () => Promise<void> }> {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'kith-bench-'));
  const server = await startEmbedded({ dataDir });
  const close = async (): Promise<void> => {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    await migrate({ plugins, servers, databaseUrl: server.url });
  } catch (error) {
    await close();
    throw error;
  }
  return { url: server.url, close };
}

/** A runtime of the installed plugins on a database. */
export const runtimeOn = (databaseUrl: string, roles: ('web' | 'worker')[] = []): Promise<Runtime> =>
  createRuntime({ roles, plugins, servers, env: testEnv(databaseUrl), databaseUrl });

/** Prints rows under a head, numbers to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ');
  console.log([line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n'));
}

/** The middle one. */
export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

export const FIRST = [
  'Alpine',
  'Baltic',
  'Cedar',
  'Delta',
  'Eastern',
  'Falcon',
  'Golden',
  'Harbor',
  'Iberia',
  'Juniper',
  'Keystone',
  'Lakeside',
  'Meridian',
  'Nordic',
  'Orchard',
  'Pacific',
  'Quartz',
  'Riverside',
  'Summit',
  'Tundra',
  'Union',
  'Valley',
  'Western',
  'Zephyr',
];
export const SECOND = [
  'Foods',
  'Logistics',
  'Timber',
  'Instruments',
  'Textiles',
  'Chemicals',
  'Bakery',
  'Software',
  'Shipping',
  'Glass',
  'Pharma',
  'Motors',
  'Ceramics',
  'Energy',
  'Packaging',
  'Optics',
];
export const THIRD = ['Ltd', 'GmbH', 'Inc', 'SA', 'AB', 'Oy', 'BV', 'KG'];
export const CITIES = [
  ['Vienna', 'Austria'],
  ['Graz', 'Austria'],
  ['Berlin', 'Germany'],
  ['Hamburg', 'Germany'],
  ['München', 'Germany'],
  ['Lyon', 'France'],
  ['Nantes', 'France'],
  ['Porto', 'Portugal'],
  ['Oulu', 'Finland'],
  ['Leeds', 'UK'],
  ['Boise', 'USA'],
  ['Portland', 'USA'],
] as const;

/** What docs/operations.md says of variables and metrics is what there is. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const guide = read('docs/operations.md');

it('lists every variable of the environment, and no other', () => {
  const known = new Set([...read('packages/core/src/env.ts').matchAll(/(?:get\(|variables\[)'([A-Z_]+)'/g)].map((found) => found[1]!));
  const table = guide.slice(guide.indexOf('## Environment'), guide.indexOf('## Is all well?'));
  const listed = [...table.matchAll(/^\| `([A-Z_]+)`/gm)].map((found) => found[1]!);
  expect(listed.sort()).toEqual([...known].sort());
});

it('lists every metric, and no other', () => {
  const source = read('packages/core/src/telemetry.ts');
  const known = [...source.matchAll(/(?:createHistogram|createCounter|gauge)\(\s*'([a-z0-9_.]+)'/g)].map((found) =>
    found[1]!.replaceAll('.', '_'),
  );
  const table = guide
    .slice(guide.indexOf('## Metrics and traces'), guide.indexOf('## Logs'))
    .replace('`…_pending_requests`', '`db_client_connection_pending_requests`');
  const listed = new Set([...table.matchAll(/`((?:http|kith|db|nodejs|process)_[a-z0-9_]+)`/g)].map((found) => found[1]!));
  expect(known.filter((name) => !listed.has(name) && name !== 'nodejs_eventloop_delay_p50')).toEqual([]);
  expect([...listed].filter((name) => !known.includes(name))).toEqual([]);
});

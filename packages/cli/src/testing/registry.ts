/**
 * An npm registry with one package in it. It is a process of its own, since what asks it is waited for:
 *
 *   node packages/cli/src/testing/registry.ts <package.tgz> <its package.json>
 *
 * Prints its address.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

const [tarball = '', manifest = ''] = process.argv.slice(2);
const packed = readFileSync(tarball);
const described = JSON.parse(readFileSync(manifest, 'utf8')) as { name: string; version: string };
const { name, version } = described;

const server = http.createServer((request, response) => {
  const asked = decodeURIComponent(request.url ?? '/');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  if (asked === `/${name}`) {
    const dist = {
      tarball: `${origin}/package.tgz`,
      integrity: `sha512-${createHash('sha512').update(packed).digest('base64')}`,
      shasum: createHash('sha1').update(packed).digest('hex'),
    };
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        name,
        'dist-tags': { latest: version },
        versions: { [version]: { ...described, dist } },
        time: { created: '2025-01-01T00:00:00Z', modified: '2025-01-01T00:00:00Z', [version]: '2025-01-01T00:00:00Z' },
      }),
    );
  } else if (asked === '/package.tgz') response.end(packed);
  else response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}');
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`));

/** One web process for the crash test: killed without warning, again and again. */
import { createRuntime } from '@kith/core/runtime';
import { testEnv } from '@kith/core/testing';
import { crm, serve, server } from '../world.ts';

const databaseUrl = process.env.DATABASE_URL!;
const runtime = await createRuntime({
  roles: ['web'],
  plugins: [crm],
  servers: [server],
  env: { ...testEnv(databaseUrl), logLevel: 'error' },
  databaseUrl,
});
const node = await serve(runtime, { compactAfter: 40 });
process.send?.({ port: node.port });
process.on('disconnect', () => process.exit(0));

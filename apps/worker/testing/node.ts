/** One worker for the crash test: killed without warning, again and again. */
import { createRuntime } from '@kith/core/runtime';
import { testEnv } from '@kith/core/testing';
import { plugins, servers } from './world.ts';

const databaseUrl = process.env['DATABASE_URL']!;
const redisUrl = process.env['REDIS_URL'];
const runtime = await createRuntime({
  roles: ['worker'],
  plugins,
  servers,
  env: { ...testEnv(databaseUrl), redisUrl, logLevel: 'silent' },
  databaseUrl,
  background: { lockMs: 2_000, retryMs: 50, lostMs: 1_000 },
});
process.on('message', () => process.send?.({ leading: runtime.leading() }));
process.send?.({ ready: true });
process.on('disconnect', () => process.exit(0));

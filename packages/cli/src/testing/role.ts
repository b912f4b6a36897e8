/** A stand-in for a role's process in the supervisor's tests: it asks the database, reports, and obeys. */
import fs from 'node:fs';
import pg from 'pg';

const fate = process.env['TEST_FATE'];
if (fate === 'config') {
  process.stderr.write('This role is configured wrongly.\n');
  process.exit(78);
}
if (fate === 'stillborn') process.exit(3);

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] ?? '', max: 1 });
pool.on('error', () => {});
await pool.query('select 1');
fs.appendFileSync(process.env['TEST_JOURNAL'] ?? '', `up ${process.pid}\n`);

const leave = (how: string) => (): void => {
  fs.appendFileSync(process.env['TEST_JOURNAL'] ?? '', `${how} ${process.pid}\n`);
  process.exit(0);
};
process.on('SIGTERM', leave('drained'));
process.on('disconnect', leave('orphaned'));
process.send?.({ type: 'ready', url: 'http://127.0.0.1:1' });
setInterval(() => {}, 1000);

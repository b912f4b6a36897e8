/** Reading for people from outside: on a connection of their audience's own login, which sees nothing but theirs. */
import type { Principal } from '@kith/sdk';
import type pg from 'pg';
import { openPool } from '../database.ts';
import { KithError } from '../errors.ts';
import { loginOf, readWall } from '../schema/wall.ts';

/** Few each: a portal's statements are short. */
const POOL = 4;

export class OutsideReader {
  readonly #url: string;
  readonly #main: pg.Pool;
  readonly #pools = new Map<string, pg.Pool>();

  constructor(databaseUrl: string, main: pg.Pool) {
    this.#url = databaseUrl;
    this.#main = main;
  }

  /** Runs a statement as whoever it is, and as nobody else: the database itself looks up whose records they see. */
  async query<R extends pg.QueryResultRow>(principal: Principal, statement: { text: string; values: readonly unknown[] }): Promise<R[]> {
    const { outside } = principal;
    if (!outside) throw new Error('only people from outside read this way');
    const client = await (await this.#pool(outside.audience)).connect();
    try {
      // Both are sent at once; the second runs when the first is done.
      const who = client.query({
        name: 'kith_who',
        text: `select set_config('kith.partner', $1, false), set_config('kith.guest', $2, false),
          set_config('kith.previewer', $3, false), set_config('kith.preview', $4, false)`,
        values: [
          principal.kind === 'partner' && !outside.preview ? principal.id : '',
          principal.kind === 'guest' ? principal.id : '',
          outside.preview ? principal.id : '',
          outside.preview ? (outside.company ?? '') : '',
        ],
      });
      const [, result] = await Promise.all([who, client.query<R>(statement.text, [...statement.values])]);
      client.release();
      return result.rows;
    } catch (error) {
      // A connection of which it is not sure who it reads for is not given to the next.
      client.release(true);
      throw error;
    }
  }

  async #pool(audience: string): Promise<pg.Pool> {
    const known = this.#pools.get(audience);
    if (known) return known;
    const wall = await readWall(this.#main);
    if (!wall) throw new KithError(500, 'no_second_wall', 'The database has no login for partners; run "npm run kith -- migrate".');
    const url = new URL(this.#url);
    url.username = encodeURIComponent(loginOf(wall, audience));
    url.password = encodeURIComponent(wall.password);
    const pool = this.#pools.get(audience) ?? openPool(url.href, POOL, `kith ${audience}`);
    this.#pools.set(audience, pool);
    return pool;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.end()));
  }
}

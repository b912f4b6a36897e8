/**
 * What administrators have said to plugins. Plain settings are JSON; secrets are encrypted under a key that is derived from
 * KITH_SECRET, each bound to its plugin and its name, so that none can be put in another's place.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { checkSetting, defaultOf, type AnyPlugin, type FieldProblem, type Setting, type SettingValue } from '@kith/sdk';
import type pg from 'pg';
import { transaction, type Queryable } from '../database.ts';
import { invalid } from '../errors.ts';

/** How a secret is written: this byte, nonce, tag, what is encrypted. */
const FORMAT = 1;
const NONCE = 12;
const TAG = 16;
const CIPHER = 'aes-256-gcm';

/** A secret that cannot be read any more. Whoever wants it fails, and the log says why. */
class SecretUnreadable extends Error {
  override name = 'SecretUnreadable';
  readonly code = 'secret_unreadable';
  constructor(plugin: string, name: string) {
    super(
      `The secret ${plugin}.${name} was stored under another KITH_SECRET. Start Kith with that one, or enter it anew under Settings, Plugins.`,
    );
  }
}

/** Encrypts and reads secrets. */
export class Vault {
  readonly #key: Buffer;

  /** @param secret KITH_SECRET */
  constructor(secret: string) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'kith plugin secrets', 32));
  }

  seal(plugin: string, name: string, text: string): Buffer {
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv(CIPHER, this.#key, nonce).setAAD(boundTo(plugin, name));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([Buffer.from([FORMAT]), nonce, cipher.getAuthTag(), sealed]);
  }

  /** @throws SecretUnreadable */
  open(plugin: string, name: string, sealed: Buffer): string {
    try {
      if (sealed[0] !== FORMAT) throw new Error('another format');
      const nonce = sealed.subarray(1, 1 + NONCE);
      const decipher = createDecipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG }).setAAD(boundTo(plugin, name));
      decipher.setAuthTag(sealed.subarray(1 + NONCE, 1 + NONCE + TAG));
      return decipher.update(sealed.subarray(1 + NONCE + TAG), undefined, 'utf8') + decipher.final('utf8');
    } catch {
      throw new SecretUnreadable(plugin, name);
    }
  }

  opens(plugin: string, name: string, sealed: Buffer): boolean {
    try {
      this.open(plugin, name, sealed);
      return true;
    } catch {
      return false;
    }
  }
}

const boundTo = (plugin: string, name: string): Buffer => Buffer.from(`${plugin}.${name}`);

interface Row {
  name: string;
  value: SettingValue;
  secret: Buffer | null;
  changed_at: string;
  changed_by: string | null;
}

/** A setting as an administrator sees it: of a secret, only whether there is one. */
export interface SettingState {
  name: string;
  spec: Setting;
  /** What holds: the default where nothing else was said. Null for secrets. */
  value: SettingValue;
  /** Whether somebody has said something. */
  set: boolean;
  /** Of a secret that is set: whether it was stored under another KITH_SECRET. */
  unreadable: boolean;
  changedAt: string | null;
  /** Id of whoever said it. */
  changedBy: string | null;
}

export class PluginSettings {
  readonly #pool: pg.Pool;
  readonly #plugins: ReadonlyMap<string, AnyPlugin>;
  readonly #vault: Vault;
  readonly #clock: () => Date;

  /** @param plugins All of this build, whether they are on or off. */
  constructor(options: { pool: pg.Pool; plugins: ReadonlyMap<string, AnyPlugin>; secret: string; clock: () => Date }) {
    this.#pool = options.pool;
    this.#plugins = options.plugins;
    this.#vault = new Vault(options.secret);
    this.#clock = options.clock;
  }

  /** A plugin's plain settings with their defaults. Read in the transaction of `client`, where one is given. */
  async values(plugin: string, client: Queryable = this.#pool): Promise<Record<string, SettingValue>> {
    const known = await this.#rows(plugin, client);
    const values: Record<string, SettingValue> = {};
    for (const [name, spec] of this.#declared(plugin)) if (spec.type !== 'secret') values[name] = this.#holds(spec, known.get(name));
    return values;
  }

  /** A plugin's secrets. @throws where one cannot be read */
  async secrets(plugin: string, client: Queryable = this.#pool): Promise<Record<string, string | null>> {
    const known = await this.#rows(plugin, client);
    const secrets: Record<string, string | null> = {};
    for (const [name, spec] of this.#declared(plugin)) {
      const sealed = known.get(name)?.secret;
      if (spec.type === 'secret') secrets[name] = sealed ? this.#vault.open(plugin, name, sealed) : null;
    }
    return secrets;
  }

  /** A plugin's settings in the order in which they are declared. */
  async list(plugin: string): Promise<SettingState[]> {
    const known = await this.#rows(plugin, this.#pool);
    return this.#declared(plugin).map(([name, spec]) => {
      const row = known.get(name);
      // A setting that was of another kind in an earlier version counts as not set.
      const set = row !== undefined && (row.secret !== null) === (spec.type === 'secret');
      return {
        name,
        spec,
        value: spec.type === 'secret' ? null : this.#holds(spec, row),
        set,
        unreadable: set && row.secret !== null && !this.#vault.opens(plugin, name, row.secret),
        changedAt: set ? row.changed_at : null,
        changedBy: set ? row.changed_by : null,
      };
    });
  }

  /** Says something to a plugin; null takes back what was said. All or nothing. @throws 422 for each setting at fault */
  async change(plugin: string, input: Readonly<Record<string, unknown>>, by: string): Promise<void> {
    const declared = new Map(this.#declared(plugin));
    const problems: FieldProblem[] = [];
    const changes: { name: string; value: SettingValue; sealed: Buffer | null }[] = [];
    for (const [name, given] of Object.entries(input)) {
      const spec = declared.get(name);
      if (!spec) {
        problems.push({ field: name.slice(0, 100), code: 'unknown_field', message: 'is no setting of this plugin' });
        continue;
      }
      const checked = checkSetting(spec, given);
      if (!checked.ok) problems.push({ field: name, code: checked.code, message: checked.message });
      else if (spec.type === 'secret' && checked.value !== null)
        changes.push({ name, value: null, sealed: this.#vault.seal(plugin, name, checked.value as string) });
      else changes.push({ name, value: checked.value, sealed: null });
    }
    if (problems.length > 0) throw invalid(problems);
    // In one order, so that two at once do not wait for each other.
    changes.sort((a, b) => (a.name < b.name ? -1 : 1));
    await transaction(this.#pool, async (client) => {
      for (const { name, value, sealed } of changes) {
        if (value === null && sealed === null)
          await client.query('delete from kith.plugin_setting where plugin = $1 and name = $2', [plugin, name]);
        else
          await client.query(
            `insert into kith.plugin_setting (plugin, name, value, secret, changed_by) values ($1, $2, $3, $4, $5)
             on conflict (plugin, name) do update set value = $3, secret = $4, changed_at = now(), changed_by = $5`,
            [plugin, name, value === null ? null : JSON.stringify(value), sealed, by],
          );
      }
    });
  }

  #declared(plugin: string): [string, Setting][] {
    return Object.entries(this.#plugins.get(plugin)?.settings ?? {});
  }

  /** What is stored, where it still fits what is declared; else the default. */
  #holds(spec: Exclude<Setting, { type: 'secret' }>, row: Row | undefined): SettingValue {
    const checked = row?.value == null ? undefined : checkSetting(spec, row.value);
    return checked?.ok && checked.value !== null ? checked.value : defaultOf(spec, this.#clock());
  }

  async #rows(plugin: string, client: Queryable): Promise<Map<string, Row>> {
    const { rows } = await client.query<Row>({
      name: 'kith_plugin_settings',
      text: 'select name, value, secret, changed_at, changed_by from kith.plugin_setting where plugin = $1',
      values: [plugin],
    });
    return new Map(rows.map((row) => [row.name, row]));
  }
}

/** Secrets that cannot be read with this KITH_SECRET, as `plugin.name`. */
export async function unreadableSecrets(pool: Pick<pg.Pool, 'query'>, secret: string): Promise<string[]> {
  const vault = new Vault(secret);
  const { rows } = await pool.query<{ plugin: string; name: string; secret: Buffer }>(
    'select plugin, name, secret from kith.plugin_setting where secret is not null order by plugin, name',
  );
  return rows.filter((row) => !vault.opens(row.plugin, row.name, row.secret)).map(({ plugin, name }) => `${plugin}.${name}`);
}

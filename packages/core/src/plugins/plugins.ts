/**
 * Which plugins are on. What is stored decides; each process goes by what it last read, and reads anew when another says
 * that something was switched. A plugin that is off keeps its tables, columns and documents, and nothing of its code runs.
 */
import type { AnyPlugin, AnyServer, Model, Outside } from '@kith/sdk';
import type pg from 'pg';
import { transaction } from '../database.ts';
import { conflict, notFound } from '../errors.ts';
import type { Bus } from '../events/bus.ts';
import { errorData, type Log } from '../log.ts';
import { channelsOf, type NamedChannel } from './channels.ts';
import { showOnly } from './mask.ts';

/** Which of two switches comes first is decided by the lock on this. */
const SWITCH_LOCK = 7_011;
/** How long others are waited for: one that does not answer is gone, or reads when its connection is back. */
const PATIENCE_MS = 3_000;

interface Options {
  pool: pg.Pool;
  model: Model;
  servers: readonly AnyServer[];
  bus: Bus;
  log: Log;
}

/** How a plugin stands. */
export interface PluginState {
  plugin: AnyPlugin;
  enabled: boolean;
  /** Switched on, but something that it needs is off. */
  waits: boolean;
  changedAt: string | null;
  /** Id of whoever switched it last. */
  changedBy: string | null;
}

interface Row {
  id: string;
  enabled: boolean;
  changed_at: string | null;
  changed_by: string | null;
}

export class Plugins {
  readonly #o: Options;
  readonly #all: ReadonlyMap<string, AnyPlugin>;
  #rows: ReadonlyMap<string, Row> = new Map();
  #on: ReadonlySet<string>;
  #servers: readonly AnyServer[];
  #channels: ReadonlyMap<string, NamedChannel>;
  #loading: Promise<void> = Promise.resolve();

  constructor(options: Options) {
    this.#o = options;
    this.#all = new Map(options.model.installed.plugins);
    this.#on = new Set(this.#all.keys());
    this.#servers = options.servers;
    this.#channels = channelsOf(options.servers);
    const { bus, log } = options;
    const again = (): void => {
      this.load().catch((error: unknown) => log('warn', 'it could not be read which plugins are on', errorData(error)));
    };
    bus.on('switch', (asked) => {
      void this.load()
        .then(() => bus.switched(asked))
        .catch(again);
    });
    bus.on('resync', again);
  }

  /** The handlers of plugins that are on. Another list after each switch. */
  get servers(): readonly AnyServer[] {
    return this.#servers;
  }
  /** The handlers of all plugins, switched on or off. */
  get all(): readonly AnyServer[] {
    return this.#o.servers;
  }
  /** The channels of plugins that are on, by name. Another map after each switch. */
  get channels(): ReadonlyMap<string, NamedChannel> {
    return this.#channels;
  }
  readonly isOn = (id: string): boolean => this.#on.has(id);
  /** Ids of the plugins that are on, those first that others need. */
  get on(): string[] {
    return [...this.#all.keys()].filter(this.isOn);
  }
  /** Of the plugins that are on, those whose screens somebody has: people from outside only those that open something to them, and what these need. */
  onFor({ outside }: { outside?: Pick<Outside, 'audience'> | undefined }): string[] {
    if (!outside) return this.on;
    const theirs = new Set<string>();
    const add = (plugin: AnyPlugin): void => {
      theirs.add(plugin.id);
      for (const need of plugin.needs ?? []) add(this.#all.get(need.plugin.id)!);
    };
    for (const id of this.on) if (this.#all.get(id)!.portals?.[outside.audience]) add(this.#all.get(id)!);
    return this.on.filter((id) => theirs.has(id));
  }
  get states(): PluginState[] {
    return [...this.#all.values()].map((plugin) => {
      const row = this.#rows.get(plugin.id);
      const enabled = row?.enabled ?? this.#byDefault(plugin);
      return {
        plugin,
        enabled,
        waits: enabled && !this.isOn(plugin.id),
        changedAt: row?.changed_at ?? null,
        changedBy: row?.changed_by ?? null,
      };
    });
  }
  /** Those that need a plugin, directly or not. */
  neededBy(id: string): AnyPlugin[] {
    const needs = (one: AnyPlugin): boolean => (one.needs ?? []).some(({ plugin }) => plugin.id === id || needs(this.#all.get(plugin.id)!));
    return [...this.#all.values()].filter((one) => one.id !== id && needs(one));
  }

  #byDefault(plugin: AnyPlugin): boolean {
    return plugin.startsDisabled !== true;
  }

  /** Reads what is stored, and goes by it from then on. One reading after the other, so that the last one counts. */
  load(): Promise<void> {
    this.#loading = this.#loading.catch(() => undefined).then(() => this.#load());
    return this.#loading;
  }

  async #load(): Promise<void> {
    const { rows } = await this.#o.pool.query<Row>('select id, enabled, changed_at, changed_by from kith.plugin');
    this.#rows = new Map(rows.map((row) => [row.id, row]));
    const on = this.#closure(this.#rows);
    const changed = [...this.#all.keys()].filter((id) => on.has(id) !== this.#on.has(id));
    if (changed.length === 0) return;
    this.#on = on;
    this.#servers = this.#o.servers.filter(({ plugin }) => on.has(plugin.id));
    this.#channels = channelsOf(this.#servers);
    showOnly(this.#o.model, this.isOn);
    this.#o.bus.emit('switched', changed);
  }

  /** A plugin without what it needs does nothing. */
  #closure(rows: ReadonlyMap<string, Pick<Row, 'enabled'>>): Set<string> {
    const on = new Set<string>();
    // Those that are needed come first.
    for (const plugin of this.#all.values()) {
      const wanted = rows.get(plugin.id)?.enabled ?? this.#byDefault(plugin);
      if (wanted && (plugin.needs ?? []).every((need) => on.has(need.plugin.id))) on.add(plugin.id);
    }
    return on;
  }

  /**
   * Switches a plugin. Resolves when every process goes by it.
   * @throws 409 that names what stands in the way: those that are on and need it, or what it needs and is off
   */
  async switch(id: string, enabled: boolean, by: string | null): Promise<void> {
    const plugin = this.#all.get(id);
    if (!plugin) throw notFound('plugin in this build');
    await transaction(this.#o.pool, async (client) => {
      await client.query('select pg_advisory_xact_lock($1)', [SWITCH_LOCK]);
      const { rows } = await client.query<Row>('select id, enabled, changed_at, changed_by from kith.plugin');
      const on = this.#closure(new Map(rows.map((row) => [row.id, row])));
      if (enabled) {
        const off = (plugin.needs ?? []).map((need) => need.plugin.id).filter((one) => !on.has(one));
        if (off.length > 0) throw conflict(`“${id}” needs ${named(off)}; switch ${off.length === 1 ? 'that' : 'those'} on first.`);
      } else {
        const needing = this.neededBy(id)
          .map((one) => one.id)
          .filter((one) => on.has(one));
        if (needing.length > 0)
          throw conflict(`“${id}” is needed by ${named(needing)}; switch ${needing.length === 1 ? 'that' : 'those'} off first.`);
      }
      await client.query(
        `insert into kith.plugin (id, version, enabled, changed_at, changed_by) values ($1, $2, $3, now(), $4)
         on conflict (id) do update set version = $2, enabled = $3, changed_at = now(), changed_by = $4 where plugin.enabled <> $3`,
        [id, plugin.version, enabled, by],
      );
    });
    const told = this.#o.bus.tellSwitch(PATIENCE_MS);
    await this.load();
    await told;
  }
}

const named = (ids: readonly string[]): string => ids.map((id) => `“${id}”`).join(', ');

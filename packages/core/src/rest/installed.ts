/** Routes of the plugins themselves: which there are, what they bring and store, and their switches. For administrators. */
import type { AnyPlugin } from '@kith/sdk';
import { invalid, notFound } from '../errors.ts';
import type { PluginState } from '../plugins/plugins.ts';
import { serviceStates, type ServiceState } from '../jobs/services.ts';
import { orphans, purge, purgedFile, storedBy, type Stored } from '../plugins/stored.ts';
import { json } from './http.ts';
import { settingMeta, text } from './meta.ts';
import type { Call, Route } from './routes.ts';

interface Kept {
  records: number;
  /** False where Postgres' estimate is among what was added up. */
  exact: boolean;
  bytes: number;
  tables: Stored['tables'];
  columns: Stored['columns'];
  files: Stored['files'];
}

const keptOf = ({ tables, columns, files }: Stored): Kept => ({
  records: tables.reduce((sum, { rows }) => sum + rows, 0),
  exact: tables.every(({ exact }) => exact),
  bytes: tables.reduce((sum, { bytes }) => sum + bytes, files.bytes),
  tables,
  columns,
  files,
});

/** A plugin as an administrator sees it. */
function shown(
  { runtime, language }: Call,
  state: PluginState,
  stored: Stored,
  services: ReadonlyMap<string, ServiceState>,
): Record<string, unknown> {
  const { plugin } = state;
  const { model, plugins } = runtime;
  const server = plugins.all.find((one) => one.plugin.id === plugin.id);
  const objects = [...model.installed.objects.values()];
  const labelled = (key: string): string => text(model, plugin.id, key, language);
  return {
    id: plugin.id,
    label: labelled(`plugin.${plugin.id}`),
    version: plugin.version,
    sdk: plugin.sdk,
    part: plugin.part,
    enabled: state.enabled,
    waits: state.waits,
    changedAt: state.changedAt,
    changedBy: state.changedBy,
    needs: (plugin.needs ?? []).map(({ plugin: { id }, range }) => ({ id, range, on: plugins.isOn(id) })),
    neededBy: plugins.neededBy(plugin.id).map(({ id }) => ({ id, on: plugins.isOn(id) })),
    contributes: {
      objects: objects
        .filter((object) => object.plugin === plugin.id)
        .map(({ name, key }) => ({ name, label: labelled(`object.${key}.many`) })),
      fields: Object.values(plugin.extend ?? {}).reduce((sum, { fields }) => sum + Object.keys(fields ?? {}).length, 0),
      actions: Object.values(plugin.objects ?? {}).reduce((sum, { actions }) => sum + Object.keys(actions ?? {}).length, 0),
      portals: Object.keys(plugin.portals ?? {}),
      workflows: Object.keys(plugin.workflows ?? {}).map((key) => labelled(`workflow.${key}`)),
      routes: server?.routes?.length ?? 0,
      jobs: Object.keys(server?.jobs ?? {}).length,
      schedules: Object.values(server?.jobs ?? {}).filter(({ schedule }) => schedule !== undefined).length,
      consumers: Object.keys(server?.consumers ?? {}).length,
      importers: Object.values(server?.importers ?? {}).map(({ title }) => labelled(title)),
      settings: Object.keys(plugin.settings ?? {}).length,
    },
    services: Object.entries(server?.services ?? {}).map(([key, { title }]) => ({
      ...services.get(`${plugin.id}.${key}`)!,
      label: labelled(title),
    })),
    stored: keptOf(stored),
  };
}

/** How the services of these plugins stand. */
const servicesOf = ({ runtime: { pool, plugins } }: Call, ids: readonly string[]): Promise<Map<string, ServiceState>> =>
  serviceStates(
    pool,
    plugins.all
      .filter(({ plugin }) => ids.includes(plugin.id))
      .flatMap(({ plugin, services }) => Object.keys(services ?? {}).map((key) => `${plugin.id}.${key}`)),
  );

async function one(call: Call): Promise<Record<string, unknown>> {
  const state = call.runtime.plugins.states.find(({ plugin }) => plugin.id === call.params.id);
  if (!state) throw notFound('plugin in this build');
  const ids = [state.plugin.id];
  const [stored, services] = await Promise.all([storedBy(call.runtime.pool, ids), servicesOf(call, ids)]);
  return shown(call, state, stored.get(state.plugin.id)!, services);
}

/** A plugin's settings; it may be off, so that it can be told what it needs before it is switched on. */
async function settings(call: Call): Promise<Response> {
  const { runtime, language } = call;
  const plugin = inBuild(call);
  const states = await runtime.settings.list(plugin.id);
  return json({ data: states.map((state) => settingMeta(runtime.model, plugin, state, language)) });
}

function inBuild({ runtime, params }: Call): AnyPlugin {
  const plugin = runtime.model.installed.plugins.get(params.id!);
  if (!plugin) throw notFound('plugin in this build');
  return plugin;
}

async function switched(call: Call, enabled: boolean): Promise<Response> {
  await call.runtime.plugins.switch(call.params.id!, enabled, call.principal.id);
  return json(await one(call));
}

export const installedRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/plugins',
    access: 'admin',
    summary: 'The plugins of this build, and those that have left something in the database',
    handle: async (call) => {
      const { pool, plugins } = call.runtime;
      const { states } = plugins;
      const left = await orphans(
        pool,
        states.map(({ plugin }) => plugin.id),
      );
      const ids = states.map(({ plugin }) => plugin.id);
      const [stored, services] = await Promise.all([storedBy(pool, [...ids, ...left]), servicesOf(call, ids)]);
      return json({
        data: states.map((state) => shown(call, state, stored.get(state.plugin.id)!, services)),
        orphans: left.map((id) => ({ id, stored: keptOf(stored.get(id)!) })),
      });
    },
  },
  {
    method: 'GET',
    path: '/plugins/{id}',
    access: 'admin',
    summary: 'One plugin of this build',
    handle: async (call) => json(await one(call)),
  },
  {
    method: 'GET',
    path: '/plugins/{id}/settings',
    access: 'admin',
    summary: 'What a plugin is told by administrators; of secrets only whether there are any',
    handle: settings,
  },
  {
    method: 'PATCH',
    path: '/plugins/{id}/settings',
    access: 'admin',
    summary: 'Changes the settings that are named; null takes back what was said',
    doc: { body: {} },
    handle: async (call) => {
      await call.runtime.settings.change(inBuild(call).id, await call.body(), call.principal.id);
      return settings(call);
    },
  },
  {
    method: 'POST',
    path: '/plugins/{id}/enable',
    access: 'admin',
    summary: 'Switches a plugin on, in every process, at once',
    handle: (call) => switched(call, true),
  },
  {
    method: 'POST',
    path: '/plugins/{id}/disable',
    access: 'admin',
    summary: 'Switches a plugin off, in every process, at once; what it stored stays',
    handle: (call) => switched(call, false),
  },
  {
    method: 'POST',
    path: '/plugins/{id}/purge',
    access: 'admin',
    summary: 'Writes what a plugin that was removed has left into a file on the server, and then deletes it',
    handle: async (call) => {
      const { runtime, params } = call;
      const id = params.id!;
      const { confirm } = await call.body();
      if (confirm !== id) throw invalid([{ field: 'confirm', code: 'required', message: `must be "${id}": what is purged is gone` }]);
      const file = purgedFile(runtime.env.dataDir, id, runtime.clock());
      const stored = await purge(runtime, id, file);
      return json({ id, file, stored: keptOf(stored) });
    },
  },
];

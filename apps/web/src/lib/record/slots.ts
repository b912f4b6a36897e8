/** What plugins that are on add to the pages; `on` are their ids. */
import type { Lazy, Part } from '@kith/sdk';
import type { ListAction, ListActions, ListCreate, RecordAction, RecordActions } from '@kith/ui/actions.ts';
import type { App } from '@kith/ui/app.svelte.ts';
import type { Language } from '@kith/ui/types.ts';
import type { Component } from 'svelte';

export interface Slot {
  id: string;
  title: string;
  load: Lazy;
  /** The reference whose plain list of related records it makes needless. */
  insteadOf?: string;
  /** The page opens with it. */
  first?: boolean;
}
/** A page that a plugin adds to the portals. */
export interface PageSlot extends Slot {
  icon: string;
  /** For the partners' administrators only. */
  admin: boolean;
}

/** Ids of the plugins that are on. */
type On = readonly string[];
const enabled = async (on: On) => (await import('@kith/installed/client')).clients.filter(({ plugin }) => on.includes(plugin.id));

/** How many places on the screens each installed plugin fills. */
export async function countSlots(): Promise<Record<string, number>> {
  const { clients } = await import('@kith/installed/client');
  return Object.fromEntries(
    clients.map(({ plugin, slots }) => [plugin.id, Object.values(slots).reduce((sum, list) => sum + (list?.length ?? 0), 0)]),
  );
}

/** The panels or tabs for an object, titled in the reader's language. */
export async function slotsOf(on: On, kind: 'record.panel' | 'record.tab', object: string, language: Language): Promise<Slot[]> {
  const clients = await enabled(on);
  return clients.flatMap(({ plugin, slots }) => {
    const words = plugin.locales[language] ?? plugin.locales.en ?? {};
    return (slots[kind] ?? [])
      .filter((slot) => slot.object === object)
      .map((slot) => ({
        id: `${plugin.id}.${slot.id}`,
        title: words[slot.title] ?? slot.title,
        load: slot.load,
        insteadOf: slot.insteadOf,
        first: 'first' in slot && slot.first === true,
      }));
  });
}

/** What plugins say may be done with a record. One that fails takes nothing else with it. */
export async function actionsOf(app: App, object: string, id: string): Promise<RecordAction[]> {
  const clients = await enabled(app.plugins);
  const slots = clients.flatMap((client) =>
    (client.slots['record.action'] ?? []).filter((slot) => slot.object === undefined || slot.object === object),
  );
  const found = await Promise.all(
    slots.map(async ({ load }) => {
      const { default: actions } = (await load()) as { default: RecordActions };
      return actions(app, object, id).catch(() => []);
    }),
  );
  return found.flat();
}

/** What plugins say may be done with many records of an object. One that fails takes nothing else with it. */
export async function listActionsOf(app: App, object: string): Promise<ListAction[]> {
  const clients = await enabled(app.plugins);
  const slots = clients.flatMap((client) =>
    (client.slots['list.action'] ?? []).filter((slot) => slot.object === undefined || slot.object === object),
  );
  const found = await Promise.all(
    slots.map(async ({ load }) => {
      const { default: actions } = (await load()) as { default: ListActions };
      return actions(app, object).catch(() => []);
    }),
  );
  return found.flat();
}

/** How a plugin begins new records of an object, if it has its own way. */
export async function creationOf(on: On, object: string): Promise<ListCreate | null> {
  for (const { slots } of await enabled(on)) {
    const slot = (slots['list.create'] ?? []).find((one) => one.object === object);
    if (slot) return ((await slot.load()) as { default: ListCreate }).default;
  }
  return null;
}

/** What plugins say above the lists of an object. */
export async function bannersOf(on: On, object: string): Promise<Slot[]> {
  const clients = await enabled(on);
  return clients.flatMap(({ plugin, slots }) =>
    (slots['list.banner'] ?? [])
      .filter((slot) => slot.object === object)
      .map((slot) => ({ id: `${plugin.id}.${slot.id}`, title: '', load: slot.load })),
  );
}

/** A page that a plugin adds for the staff. */
export interface NavPage {
  plugin: string;
  part: Part;
  id: string;
  title: string;
  icon: string;
  href: string;
}

/** The pages that plugins add for the staff, as the rail lists them. `has` says whether the person has a named permission. */
export async function navPages(on: On, language: Language, has: (permission: string) => boolean): Promise<NavPage[]> {
  const clients = await enabled(on);
  return clients.flatMap(({ plugin, slots }) => {
    const words = plugin.locales[language] ?? plugin.locales.en ?? {};
    const open = (slots['nav.page'] ?? []).filter(({ permission }) => permission === undefined || has(`${plugin.id}.${permission}`));
    return open.map(({ id, title, icon }) => ({
      plugin: plugin.id,
      part: plugin.part,
      id,
      title: words[title] ?? title,
      icon,
      href: `/page/${plugin.id}/${id}`,
    }));
  });
}

/** One of these pages, to be shown. */
export async function navPage(on: On, plugin: string, id: string): Promise<Pick<Slot, 'id' | 'load'> | null> {
  const client = (await enabled(on)).find((one) => one.plugin.id === plugin);
  const slot = client?.slots['nav.page']?.find((one) => one.id === id);
  return slot ? { id: `${plugin}.${id}`, load: slot.load } : null;
}

/** The pages that plugins add to the portals. */
export async function portalPages(on: On, language: Language): Promise<PageSlot[]> {
  const clients = await enabled(on);
  return clients.flatMap(({ plugin, slots }) => {
    const words = plugin.locales[language] ?? plugin.locales.en ?? {};
    return (slots['portal.page'] ?? []).map((slot) => ({
      id: `${plugin.id}.${slot.id}`,
      title: words[slot.title] ?? slot.title,
      icon: slot.icon,
      admin: slot.admin ?? false,
      load: slot.load,
    }));
  });
}

/** How a portal shows the records of an object, if a plugin has its own way. */
export async function portalRecord(on: On, object: string): Promise<Slot | null> {
  const clients = await enabled(on);
  for (const { plugin, slots } of clients) {
    const slot = (slots['portal.record'] ?? []).find((one) => one.object === object);
    if (slot) return { id: `${plugin.id}.${slot.id}`, title: '', load: slot.load };
  }
  return null;
}

/** What plugins add to My work. The title is empty where a widget heads itself. */
export async function widgets(on: On, language: Language): Promise<Slot[]> {
  const clients = await enabled(on);
  return clients.flatMap(({ plugin, slots }) => {
    const words = plugin.locales[language] ?? plugin.locales.en ?? {};
    return (slots['home.widget'] ?? []).map(({ id, title, load }) => ({
      id: `${plugin.id}.${id}`,
      title: title === undefined ? '' : (words[title] ?? title),
      load,
    }));
  });
}

/** Ids of the plugins that add something to their page in the settings. */
export async function withSections(on: On): Promise<ReadonlySet<string>> {
  return new Set((await enabled(on)).filter(({ slots }) => slots['settings.section']?.length).map(({ plugin }) => plugin.id));
}

/** What a plugin adds to its page in the settings. */
export async function settingsSections(on: On, id: string, language: Language): Promise<Slot[]> {
  const client = (await enabled(on)).find((one) => one.plugin.id === id);
  const words = client?.plugin.locales[language] ?? client?.plugin.locales.en ?? {};
  return (client?.slots['settings.section'] ?? []).map((slot) => ({
    id: `${id}.${slot.id}`,
    title: words[slot.title] ?? slot.title,
    load: slot.load,
  }));
}

/** Loads the plugins' own ways of showing values, and records on timelines, and of writing to somebody. */
export async function loadShows(app: App): Promise<void> {
  const { language, channels } = app;
  const clients = await enabled(app.plugins);
  app.ways = clients.flatMap(({ plugin, slots }) => {
    const words = plugin.locales[language] ?? plugin.locales.en ?? {};
    return (slots['compose.channel'] ?? [])
      .filter(({ channel }) => channels.includes(channel))
      .map(({ id, title, ...way }) => ({ ...way, id: `${plugin.id}.${id}`, title: words[title] ?? title }));
  });
  const shows = clients.flatMap(({ slots }) => slots['field.value'] ?? []);
  const items = clients.flatMap(({ slots }) => slots['timeline.item'] ?? []);
  await Promise.all([
    fill(app.shows, new Map(shows.map(({ object, field, load }) => [`${object}.${field}`, load]))),
    fill(app.items, new Map(items.map(({ object, load }) => [object, load]))),
  ]);
}
async function fill<P extends object>(into: Map<string, Component<P>>, wanted: ReadonlyMap<string, Lazy>): Promise<void> {
  for (const known of into.keys()) if (!wanted.has(known)) into.delete(known);
  await Promise.all([...wanted].map(async ([key, load]) => into.set(key, (await load()).default as Component<P>)));
}

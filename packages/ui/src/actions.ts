/** What plugins add to the menu of a record's page, and to the bar of a list's selected rows. */
import type { App } from './app.svelte.ts';

export interface RecordAction {
  id: string;
  label: string;
  icon?: string;
  /** Does it, and tells the person what came of it. What it throws is told by the page. */
  run: () => Promise<void>;
}

/** What may be done with a record. Asked when its page opens, and again when the record changed. */
export type RecordActions = (app: App, object: string, id: string) => Promise<RecordAction[]>;

export interface ListAction extends Omit<RecordAction, 'run'> {
  /** Does it with the selected records. */
  run: (ids: readonly string[]) => Promise<void>;
}

/** What may be done with many records of an object at once. Asked when rows are first selected. */
export type ListActions = (app: App, object: string) => Promise<ListAction[]>;

/** Begins a new record from the list of its object; done when the person is. */
export type ListCreate = (app: App) => Promise<void>;

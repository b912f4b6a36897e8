/** Writing to somebody over a channel. */
import type { AnyRef, Lazy } from '@kith/sdk';
import type { App } from './app.svelte.ts';

/** A way of writing, as a plugin adds it. */
export interface Way {
  id: string;
  /** In the reader's language. */
  title: string;
  icon: string;
  /** Name of the channel. */
  channel: string;
  /** Offered about records of this object only. */
  object?: string;
  load: Lazy;
}

/** What the dialog of a way is given. */
export interface Compose {
  /** People and companies; where it is empty, whoever writes names them. */
  to: readonly AnyRef[];
  /** The record that it is about, when that is not whoever it is to. */
  about?: AnyRef;
  onclose: () => void;
}

/** What messages are. */
const MESSAGE = 'inbox.message';

/** The ways in which the person at the screen may write about records of an object, or of their own accord. */
export const waysFor = (app: App, object?: string): Way[] =>
  !app.outside && app.object(MESSAGE)?.rights.create === true
    ? app.ways.filter((way) => way.object === undefined || way.object === object)
    : [];

/** Opens the dialog of a way. */
export const compose = (app: App, way: Way, props: Omit<Compose, 'onclose'>): Promise<void> => app.ask(way.load, { ...props });

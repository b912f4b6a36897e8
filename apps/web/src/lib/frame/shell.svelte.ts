/** What the frame and the page within it tell each other. */
import { createContext, onDestroy } from 'svelte';

/** Something that can be done on this page: the palette and the sheet of keys list it. */
export interface PageAction {
  label: string;
  icon: string;
  /** A single key (`c`, `/`) or a chord with `mod+`. */
  key?: string;
  run: () => void | Promise<void>;
}

/** A record that was opened, for the palette. */
export interface Recent {
  object: string;
  id: string;
  title: string;
}

const RECENT = 30;

export class Shell {
  palette = $state(false);
  /** What was typed between opening the palette and its being there: it begins with that. */
  typed = '';
  keys = $state(false);
  /** The rail shows icons only. */
  narrow = $state(false);
  /** On a phone: the rail lies over the page. */
  drawer = $state(false);
  #offers = $state.raw<(() => PageAction[])[]>([]);
  readonly actions: PageAction[] = $derived(this.#offers.flatMap((offer) => offer()));

  /** Offers the page's actions while its component lives. Call it while the component is created. */
  offer(actions: () => PageAction[]): void {
    this.#offers = [...this.#offers, actions];
    onDestroy(() => {
      this.#offers = this.#offers.filter((one) => one !== actions);
    });
  }

  /** Notes that a record was seen. */
  saw(user: string, recent: Recent): void {
    const list = [recent, ...recents(user).filter((one) => one.id !== recent.id)].slice(0, RECENT);
    try {
      localStorage.setItem(`kith:recent:${user}`, JSON.stringify(list));
    } catch {
      // Storage is full or forbidden: the palette forgets, nothing else.
    }
  }
}

/** The records that this person saw last, newest first. */
export function recents(user: string): Recent[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(`kith:recent:${user}`) ?? '[]');
    return Array.isArray(list) ? (list as Recent[]) : [];
  } catch {
    return [];
  }
}

const [useShell, setShell] = createContext<Shell>();
export { setShell, useShell };

/** Whether a key press is meant for a text that is being typed. */
export const isTyping = (event: KeyboardEvent): boolean => {
  const target = event.target as HTMLElement | null;
  return Boolean(target?.closest('input:not([type=checkbox]), textarea, select, [contenteditable=true], dialog, [popover]'));
};

/** Whether the press is the key that an action names. */
export function isKey(event: KeyboardEvent, key: string): boolean {
  const parts = key.split('+');
  const mod = parts.length > 1 && parts[0] === 'mod';
  const shift = parts.includes('shift');
  const last = parts.at(-1) ?? '';
  if (mod !== (event.ctrlKey || event.metaKey) || event.altKey) return false;
  if (mod && shift !== event.shiftKey) return false;
  return event.key.toLowerCase() === last.toLowerCase();
}

/** A key as people read it. */
export function keyText(key: string, mac: boolean): string {
  const word: Record<string, string> = { mod: mac ? '⌘' : 'Ctrl', shift: mac ? '⇧' : 'Shift', ' ': 'Space' };
  return key
    .split('+')
    .map((part) => word[part] ?? (part.length === 1 ? part.toUpperCase() : part))
    .join(mac ? '' : ' ');
}

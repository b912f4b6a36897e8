/** How values read: through Intl, in the reader's language and time zone. */
import { localeOf } from './i18n.ts';
import type { Address, Language, Money } from './types.ts';

const DAY = 86_400_000;

/** Calendar day (YYYY-MM-DD) of an instant in a time zone. */
export function dayIn(at: Date, timeZone: string): string {
  const parts = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(at);
  return parts.slice(0, 10);
}

const asUtc = (day: string): number => Date.parse(`${day}T00:00:00Z`);

export class Format {
  readonly locale: string;
  readonly timeZone: string;
  readonly #currency: string;
  readonly #formats = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();

  /** `currency`: the organisation's own, which needs no letters to be told from others. */
  constructor(language: Language, timeZone: string, currency: string) {
    this.locale = localeOf(language);
    this.timeZone = timeZone;
    this.#currency = currency;
  }

  #number(options: Intl.NumberFormatOptions): Intl.NumberFormat {
    const key = `n${JSON.stringify(options)}`;
    let found = this.#formats.get(key) as Intl.NumberFormat | undefined;
    if (!found) this.#formats.set(key, (found = new Intl.NumberFormat(this.locale, options)));
    return found;
  }
  #date(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
    const key = `d${JSON.stringify(options)}`;
    let found = this.#formats.get(key) as Intl.DateTimeFormat | undefined;
    if (!found) this.#formats.set(key, (found = new Intl.DateTimeFormat(this.locale, options)));
    return found;
  }

  number(value: number | string, options: Intl.NumberFormatOptions = {}): string {
    return this.#number({ maximumFractionDigits: 20, ...options }).format(value as number);
  }
  /** A fraction as a percentage. */
  percent(value: number): string {
    return this.#number({ style: 'percent', maximumFractionDigits: 2 }).format(value);
  }
  /** Two decimals; up to four where the amount has them. `short`: whole units, for sums of columns. */
  money(value: Money, short = false): string {
    const currencyDisplay = value.currency === this.#currency ? 'narrowSymbol' : 'symbol';
    try {
      return this.#number({
        style: 'currency',
        currency: value.currency,
        currencyDisplay,
        ...(short ? { maximumFractionDigits: 0 } : { maximumFractionDigits: 4 }),
      }).format(value.amount as unknown as number);
    } catch {
      return `${value.amount} ${value.currency}`;
    }
  }

  /** Today as YYYY-MM-DD in the reader's time zone. */
  today(now = new Date()): string {
    return dayIn(now, this.timeZone);
  }

  /** The day so many days from today. */
  dayFrom(days: number, now = new Date()): string {
    return new Date(asUtc(this.today(now)) + days * DAY).toISOString().slice(0, 10);
  }
  /** A calendar day with its weekday, in a sentence: "Wednesday, 2 December". */
  dayLong(day: string, now = new Date()): string {
    const sameYear = day.slice(0, 4) === this.today(now).slice(0, 4);
    return this.#date({ timeZone: 'UTC', weekday: 'long', day: 'numeric', month: 'long', ...(sameYear ? {} : { year: 'numeric' }) }).format(
      asUtc(day),
    );
  }
  /** The same, shortly: "Fri, 4 Dec". */
  dayMedium(day: string): string {
    return this.#date({ timeZone: 'UTC', weekday: 'short', day: 'numeric', month: 'short' }).format(asUtc(day));
  }
  /** Days from one calendar day to another. */
  daysBetween(from: string, to: string): number {
    return Math.round((asUtc(to) - asUtc(from)) / DAY);
  }

  /** A calendar day: relative within a week, absolute beyond. */
  day(day: string, now = new Date()): string {
    const distance = Math.round((asUtc(day) - asUtc(this.today(now))) / DAY);
    if (Math.abs(distance) < 7) return this.#relative(distance);
    return this.dayAbsolute(day, now);
  }
  /** The same within a sentence. */
  dayWithin(day: string, now = new Date()): string {
    const words = this.day(day, now);
    return words.charAt(0).toLocaleLowerCase(this.locale) + words.slice(1);
  }
  /** A calendar day in full, without its year when it is this year's. */
  dayAbsolute(day: string, now = new Date()): string {
    const sameYear = day.slice(0, 4) === this.today(now).slice(0, 4);
    return this.#date({ timeZone: 'UTC', day: 'numeric', month: 'short', ...(sameYear ? {} : { year: 'numeric' }) }).format(asUtc(day));
  }
  /** A calendar day with its weekday and year; what a hover shows. */
  dayExact(day: string): string {
    return this.#date({ timeZone: 'UTC', dateStyle: 'full' }).format(asUtc(day));
  }

  /** An instant: its day as {@link day} has it, with the clock time when it is today. */
  time(at: string, now = new Date()): string {
    const instant = new Date(at);
    const day = dayIn(instant, this.timeZone);
    return day === this.today(now) ? this.clock(at) : this.day(day, now);
  }
  /** The clock time alone. */
  clock(at: string): string {
    return this.#date({ timeZone: this.timeZone, hour: '2-digit', minute: '2-digit' }).format(new Date(at));
  }
  /** An instant in full. */
  timeExact(at: string): string {
    return this.#date({ timeZone: this.timeZone, dateStyle: 'full', timeStyle: 'short' }).format(new Date(at));
  }
  /** The day and clock time of an instant, shortly. */
  timeShort(at: string): string {
    return this.#date({ timeZone: this.timeZone, dateStyle: 'medium', timeStyle: 'short' }).format(new Date(at));
  }
  /** Calendar day of an instant for this reader. */
  dayOf(at: string): string {
    return dayIn(new Date(at), this.timeZone);
  }

  #relative(days: number): string {
    const words = new Intl.RelativeTimeFormat(this.locale, { numeric: 'auto' }).format(days, 'day');
    return words.charAt(0).toLocaleUpperCase(this.locale) + words.slice(1);
  }

  /** A size in bytes, with at most one decimal. */
  bytes(count: number): string {
    const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
    const at = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)));
    return new Intl.NumberFormat(this.locale, { style: 'unit', unit: units[at]!, maximumFractionDigits: at === 0 ? 0 : 1 }).format(
      count / 1000 ** at,
    );
  }

  list(items: readonly string[]): string {
    return new Intl.ListFormat(this.locale, { type: 'unit', style: 'short' }).format(items);
  }

  /** An address on one line or several. */
  address(value: Address, separator = ', '): string {
    const town = [value.postalCode, value.city].filter(Boolean).join(' ');
    return [value.street, [town, value.region].filter(Boolean).join(', '), value.country].filter(Boolean).join(separator);
  }
}

/** Up to two letters that stand for a name. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const first = words[0]?.match(/[\p{L}\p{N}]/u)?.[0] ?? '?';
  const last = words.length > 1 ? (words.at(-1)?.match(/[\p{L}\p{N}]/u)?.[0] ?? '') : '';
  return (first + last).toLocaleUpperCase();
}

/** A steady hue for a name, so that a company keeps its colour. */
export function hueOf(text: string): number {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return (hash >>> 0) % 360;
}

/** A wall-clock time (`YYYY-MM-DDTHH:mm`) in a time zone as an instant in UTC. */
export function instantOf(local: string, timeZone: string): string | null {
  const guess = /^\d{4,6}-\d{2}-\d{2}T\d{2}:\d{2}$/.test(local) ? Date.parse(`${local}:00Z`) : NaN;
  if (Number.isNaN(guess)) return null;
  // The offset may differ between the guess and the result around a change of the clocks: two rounds settle it.
  let at = guess;
  for (let round = 0; round < 2; round++) at = guess - offsetAt(at, timeZone);
  return new Date(at).toISOString();
}

/** An instant as the wall-clock time of a time zone, in the form of `<input type="datetime-local">`. */
export function localOf(instant: string, timeZone: string): string {
  const at = Date.parse(instant);
  return new Date(at + offsetAt(at, timeZone)).toISOString().slice(0, 16);
}

function offsetAt(at: number, timeZone: string): number {
  const parts = new Intl.DateTimeFormat('en-CA', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).formatToParts(at);
  const get = (type: string): number => Number(parts.find((part) => part.type === type)?.value ?? 0);
  return Date.UTC(get('year'), get('month') - 1, get('day'), get('hour'), get('minute'), get('second')) - Math.floor(at / 1000) * 1000;
}

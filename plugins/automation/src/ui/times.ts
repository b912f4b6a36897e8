/** Schedules as people say them, and as cron expressions. */

export interface Times {
  every: 'hour' | 'day' | 'workday' | 'week' | 'month' | 'custom';
  /** `HH:MM` */
  at: string;
  /** The expression itself, for `custom`. */
  cron?: string;
}

/** The clock that all schedules go by. */
export const CLOCK = 'UTC';

const SUFFIXES = { '* * *': 'day', '* * 1-5': 'workday', '* * 1': 'week', '1 * *': 'month' } as const;

export function readCron(cron: string): Times {
  if (/^0 \* \* \* \*$/.test(cron.trim())) return { every: 'hour', at: '06:00' };
  const match = /^(\d{1,2}) (\d{1,2}) (.+)$/.exec(cron.trim());
  const every = match && SUFFIXES[match[3] as keyof typeof SUFFIXES];
  if (!match || !every || Number(match[1]) > 59 || Number(match[2]) > 23) return { every: 'custom', at: '06:00' };
  return { every, at: `${match[2]!.padStart(2, '0')}:${match[1]!.padStart(2, '0')}` };
}

/** The expression for a choice. One that people write themselves begins as it stands, with a space that keeps it theirs. */
export function cronOf({ every, at, cron }: Times): string {
  const [hour = 6, minute = 0] = at.split(':').map(Number);
  switch (every) {
    case 'hour':
      return '0 * * * *';
    case 'custom':
      // A list of one hour is no form that the choices make: so the choice stays.
      return cron && readCron(cron).every === 'custom' ? cron : `${minute} ${hour},${hour} * * *`;
    default: {
      const suffix = Object.entries(SUFFIXES).find(([, one]) => one === every)![0];
      return `${minute} ${hour} ${suffix}`;
    }
  }
}

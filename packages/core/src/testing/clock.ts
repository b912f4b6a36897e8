/** A clock that tests hold in their hands. */

export interface TestClock {
  (): Date;
  /** Stops the clock at this time; it stands until it is set or moved again. */
  set: (to: Date | string) => void;
  /** Moves the clock on (back when negative). A running clock goes on running. */
  move: (by: { days?: number; hours?: number; minutes?: number; seconds?: number }) => void;
}

/** A clock that runs with the machine's, or stands at `at`, until it is told otherwise. */
export function testClock(at?: Date | string | (() => Date)): TestClock {
  let base: () => number = typeof at === 'function' ? () => at().getTime() : Date.now;
  let ahead = 0;
  const stand = (to: Date | string): void => {
    const time = new Date(to).getTime();
    if (Number.isNaN(time)) throw new RangeError(`“${String(to)}” is no time; say it like 2026-05-01T10:00:00Z`);
    base = () => time;
    ahead = 0;
  };
  if (at !== undefined && typeof at !== 'function') stand(at);
  return Object.assign(() => new Date(base() + ahead), {
    set: stand,
    move: ({ days = 0, hours = 0, minutes = 0, seconds = 0 }: Parameters<TestClock['move']>[0]) => {
      ahead += (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000;
    },
  });
}

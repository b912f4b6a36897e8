import { expect, it } from 'vitest';
import { newStep, parse, problemAt, write } from './definition.ts';
import { cronOf, readCron } from './times.ts';

it('reads the schedules that it writes, and leaves all others in people’s own words', () => {
  for (const every of ['hour', 'day', 'workday', 'week', 'month'] as const)
    expect(readCron(cronOf({ every, at: '08:05' })).every).toBe(every);
  expect(readCron('5 8 * * 1-5')).toEqual({ every: 'workday', at: '08:05' });
  expect(readCron(cronOf({ every: 'custom', at: '06:00', cron: '0 6 * * *' })).every).toBe('custom');
  for (const cron of ['*/5 * * * *', '61 6 * * *', '0 6 * 1 *', '']) expect(readCron(cron).every).toBe('custom');
});

it('reads definitions of any age, and writes equal ones as equal texts', () => {
  expect(parse(null)).toEqual({ trigger: null, steps: [] });
  expect(parse('{"steps":1}')).toBeNull();
  expect(parse('nonsense')).toBeNull();
  const text = '{"steps":[],"condition":{"and":[]},"trigger":{"on":"created","object":"contacts.task"}}';
  expect(write(parse(text)!)).toBe(write(parse(write(parse(text)!))!));
});

it('gives each step an id of its own, and finds a problem where it belongs', () => {
  const taken = new Set(['task-2', 'task-3']);
  expect(taken.has(newStep('task', taken).id)).toBe(false);
  const problems = [{ path: 'steps[1].fields.owner', message: 'No.' }];
  expect(problemAt(problems, 'steps[1].fields.owner')).toBe('No.');
  expect(problemAt(problems, 'steps[1]')).toBeUndefined();
  expect(problemAt(problems, 'steps[1]', true)).toBe('No.');
  expect(problemAt(problems, 'steps[1].fields.own', true)).toBeUndefined();
});

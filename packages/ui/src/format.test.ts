import { describe, expect, it } from 'vitest';
import { Format, hueOf, initials, instantOf, localOf } from './format.ts';

const now = new Date('2026-11-21T23:30:00Z');

describe('days', () => {
  const berlin = new Format('en', 'Europe/Berlin', 'USD');
  it('are relative within a week and absolute beyond', () => {
    // In Berlin it is the 22nd already.
    expect(berlin.day('2026-11-22', now)).toBe('Today');
    expect(berlin.day('2026-11-21', now)).toBe('Yesterday');
    expect(berlin.day('2026-11-29', now)).toBe('29 Nov');
    expect(berlin.day('2026-11-27', now)).toBe('In 5 days');
    expect(berlin.day('1998-05-06', now)).toBe('6 May 1998');
    expect(berlin.dayWithin('2026-11-23', now)).toBe('tomorrow');
  });
  it('are counted from today and from each other', () => {
    expect(berlin.dayFrom(7, now)).toBe('2026-11-29');
    expect(berlin.daysBetween('2026-11-29', '2026-12-02')).toBe(3);
    expect(berlin.daysBetween('2026-12-02', '2026-11-29')).toBe(-3);
  });
  it('are named with their weekday', () => {
    expect(berlin.dayLong('2026-12-02', now)).toMatch(/^Wednesday,? 2 December$/);
    expect(berlin.dayLong('2027-01-04', now)).toMatch(/2027$/);
    expect(new Format('de', 'UTC', 'EUR').dayMedium('2026-12-04')).toBe('Fr., 4. Dez.');
  });
  it('speak German', () => {
    const german = new Format('de', 'UTC', 'EUR');
    expect(german.day('2026-11-19', now)).toBe('Vorgestern');
    expect(german.day('2026-11-18', now)).toBe('Vor 3 Tagen');
  });
});

describe('wall clocks', () => {
  it.each(['UTC', 'Europe/Berlin', 'America/St_Johns', 'Asia/Kathmandu'])('go there and back in %s', (zone) => {
    for (const at of ['2026-03-29T00:30:00.000Z', '2026-07-01T12:00:00.000Z', '2026-10-25T03:30:00.000Z']) {
      expect(instantOf(localOf(at, zone), zone)).toBe(at);
    }
  });
  it('refuses what is no time', () => expect(instantOf('', 'UTC')).toBeNull());
});

describe('money', () => {
  it('needs no letters in the organisation’s own currency', () => {
    const format = new Format('en', 'UTC', 'USD');
    expect(format.money({ amount: '104874.98', currency: 'USD' })).toBe('$104,874.98');
    expect(format.money({ amount: '1', currency: 'CAD' })).toBe('CA$1.00');
    expect(format.money({ amount: '0.1234', currency: 'USD' })).toBe('$0.1234');
    // More digits than a number in JavaScript holds.
    expect(format.money({ amount: '900719925474099.55', currency: 'USD' })).toBe('$900,719,925,474,099.55');
    expect(format.money({ amount: '12.50', currency: 'XQQ' })).toMatch(/12\.50/);
  });
});

it('shortens names', () => {
  expect(initials('Nancy Davolio')).toBe('ND');
  expect(initials('  ångström ')).toBe('Å');
  expect(initials('')).toBe('?');
  expect(hueOf('Ernst Handel')).toBe(hueOf('Ernst Handel'));
});

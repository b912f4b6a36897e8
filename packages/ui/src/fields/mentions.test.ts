import { describe, expect, it } from 'vitest';
import type { StaffUser } from '../types.ts';
import { fitting, nameBefore } from './mentions.svelte.ts';

const user = (name: string, more: Partial<StaffUser> = {}): StaffUser => ({
  id: name,
  name,
  email: '',
  color: 0,
  role: 'member',
  active: true,
  ...more,
});
const users = [user('Nancy Davolio'), user('Andrew Fuller'), user('Änne-Marie Groß'), user('Nina Left', { active: false })];
const names = (query: string, me?: string): string[] => fitting(users, query, me).map(({ name }) => name);

describe('naming a colleague', () => {
  it('begins with a mark that stands by itself', () => {
    expect(nameBefore('@')).toEqual({ from: 0, query: '' });
    expect(nameBefore('Ask @nan')).toEqual({ from: 4, query: 'nan' });
    expect(nameBefore('(@Nancy Dav')).toEqual({ from: 1, query: 'Nancy Dav' });
    expect(nameBefore('Ask @Nancy ')).toEqual({ from: 4, query: 'Nancy ' });
    for (const none of ['', 'nancy', 'mail@example', 'a@b.example and', '@nan\n', '@nan, ', '@Nancy  '])
      expect(nameBefore(none), none).toBeNull();
  });

  it('offers whom the words begin, of those who are there', () => {
    expect(names('')).toEqual(['Andrew Fuller', 'Änne-Marie Groß', 'Nancy Davolio']);
    expect(names('nan')).toEqual(['Nancy Davolio']);
    expect(names('dav')).toEqual(['Nancy Davolio']);
    expect(names('nancy d')).toEqual(['Nancy Davolio']);
    expect(names('d nancy')).toEqual([]);
    expect(names('anne gr')).toEqual(['Änne-Marie Groß']);
    expect(names('ni')).toEqual([]);
    expect(names('a', 'Andrew Fuller')).toEqual(['Änne-Marie Groß']);
    expect(names('Nancy Davolio ')).toEqual([]);
  });
});

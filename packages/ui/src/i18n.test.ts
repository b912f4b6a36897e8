import { expect, it } from 'vitest';
import { negotiate, Words } from './i18n.ts';
import de from './locales/de.json' with { type: 'json' };
import en from './locales/en.json' with { type: 'json' };

it('has every text in both languages, with the same arguments', () => {
  expect(Object.keys(de).sort()).toEqual(Object.keys(en).sort());
  const names = (text: string): string[] => [...text.matchAll(/\{(\w+)/g)].map((match) => match[1] ?? '').sort();
  for (const [key, text] of Object.entries(en)) expect([key, names((de as Record<string, string>)[key] ?? '')]).toEqual([key, names(text)]);
});

it('formats messages and answers the key where there is none', () => {
  const words = new Words('en', { hello: 'Hello {name}', many: '{n, plural, one {# thing} other {# things}}', plain: 'It’s here' });
  expect(words.say('hello', { name: '<b>' })).toBe('Hello <b>');
  expect(words.say('many', { n: 2 })).toBe('2 things');
  expect(words.say('plain')).toBe('It’s here');
  expect(words.say('nothing')).toBe('nothing');
});

it('chooses a language that it speaks', () => {
  expect(negotiate('fr-CH, fr;q=0.9, de;q=0.7, en;q=0.8')).toBe('en');
  expect(negotiate('de-AT')).toBe('de');
  expect(negotiate('zh')).toBe('en');
  expect(negotiate(null)).toBe('en');
});

/** Names of channels: one for each among all plugins, so that a message says by itself over what it goes. */
import { definePlugin, defineServer, type AnyServer } from '@kith/sdk';
import { expect, it } from 'vitest';
import { channelsOf, checkChannels } from './channels.ts';

function plugin(id: string, ...names: string[]): AnyServer {
  const declared = definePlugin({ id, version: '1.0.0', sdk: '^1.0.0', part: 'communicative', locales: { en: { [`plugin.${id}`]: id } } });
  const send = () => Promise.resolve({ state: 'sent' as const, result: {} });
  return defineServer(declared, { channels: Object.fromEntries(names.map((name) => [name, { reach: 'phone', send }])) });
}

it('refuses to begin with a name that is taken, or that is none', () => {
  expect(() => checkChannels([plugin('one', 'text'), plugin('two', 'letter')])).not.toThrow();
  expect(() => checkChannels([plugin('one', 'text'), plugin('two', 'text')])).toThrow(
    'Plugin "two": channel "text" is declared by "one" already; give it another name',
  );
  expect(() => checkChannels([plugin('one', 'text/../mail')])).toThrow('Plugin "one": channel "text/../mail" must be a word');
});

it('says of each whose it is and by what it reaches people', () => {
  expect([...channelsOf([plugin('one', 'text')])].map(([name, { plugin: owner, reach }]) => [name, owner, reach])).toEqual([
    ['text', 'one', 'phone'],
  ]);
});

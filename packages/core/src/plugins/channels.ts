/** Channels: the ways by which messages leave the house and come in, each with a name of its own. */
import { IDENTIFIER, type AnyPlugin, type AnyServer, type Channel, type ChannelInfo } from '@kith/sdk';
import { BootError } from '../errors.ts';

/** A channel, and what may be known of it. */
export interface NamedChannel extends ChannelInfo {
  channel: Channel<AnyPlugin>;
}

/** The channels of these plugins, by name. */
export const channelsOf = (servers: readonly AnyServer[]): ReadonlyMap<string, NamedChannel> =>
  new Map(
    servers.flatMap(({ plugin, channels = {} }) =>
      Object.entries(channels).map(([name, channel]) => [name, { plugin: plugin.id, reach: channel.reach ?? null, channel }]),
    ),
  );

/** @throws BootError where a name is none, or is taken */
export function checkChannels(servers: readonly AnyServer[]): void {
  const owners = new Map<string, string>();
  for (const { plugin, channels = {} } of servers)
    for (const name of Object.keys(channels)) {
      if (!IDENTIFIER.test(name))
        throw new BootError(
          `Plugin "${plugin.id}": channel "${name}" must be a word of letters and digits that begins with a small letter`,
        );
      const owner = owners.get(name);
      if (owner !== undefined)
        throw new BootError(`Plugin "${plugin.id}": channel "${name}" is declared by "${owner}" already; give it another name`);
      owners.set(name, plugin.id);
    }
}

/** What the crash test and the figures run: a plugin that counts what it does, and automation with what it needs. */
import { works, worksServer } from '@kith/core/testing/works';
import { plugins as installed } from '@kith/installed/plugins';
import { servers as installedServers } from '@kith/installed/server';

const WANTED = ['contacts', 'automation'];
export const plugins = [...installed.filter(({ id }) => WANTED.includes(id)), works];
export const servers = [...installedServers.filter(({ plugin }) => WANTED.includes(plugin.id)), worksServer];

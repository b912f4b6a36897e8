/** The plugin contract of Kith. Isomorphic, without dependencies. */
export * from './field.ts';
export * from './filter.ts';
export * from './rule.ts';
export * from './settings.ts';
export * from './plugin.ts';
export * from './server.ts';
export * from './client.ts';
export * from './model.ts';
export * from './workflow.ts';
export * from './version.ts';

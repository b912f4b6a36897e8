import { CommandError, UsageError, type Command } from '../command.ts';
import { loginsText } from '../demo.ts';
import { core, envOf, withRuntime } from '../world.ts';

export const seed: Command = {
  summary: 'Load the demo data.',
  usage: 'northwind [--original-dates] [--data DIR]',
  help: [
    ['northwind', 'the Northwind demo: nine employees, their customers, suppliers, products and orders'],
    ['--original-dates', 'keep the dates of 1996–1998 instead of moving the last order to this week'],
    ['--data DIR', 'data folder of the embedded database (KITH_DATA, .kith)'],
  ],
  options: { 'original-dates': { type: 'boolean' }, data: { type: 'string' } },
  positionals: ['northwind'],
  async run({ values, positionals, out }) {
    const [name] = positionals;
    if (name !== 'northwind') throw new UsageError(`There is no demo “${name}”. There is: northwind.`);
    const env = envOf(values);
    if (env.publicHost) {
      throw new CommandError(
        'demo_public',
        'The demo’s logins have a known password, and this Kith is on a public host. Load it on 127.0.0.1 only.',
      );
    }
    await withRuntime(env, out, async (runtime) => {
      const { demoLoaded, seedDemo } = await core();
      if (await demoLoaded(runtime)) throw new CommandError('demo_loaded', 'The Northwind demo is loaded already.');
      out.note('Loading the Northwind demo …');
      const { logins } = await seedDemo(runtime, 'northwind', {
        originalDates: values['original-dates'] === true,
      });
      out.result(loginsText(logins), { demo: name, logins });
    });
  },
};

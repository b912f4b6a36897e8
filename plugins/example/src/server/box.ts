/** The return box: asked all the time, by one process, what was put into it. */
import type { Filter, Service } from '@kith/sdk';
import type { example } from '../plugin.ts';

const DAY_MS = 86_400_000;
const POLL_MS = 30_000;

// #region service
export const box: Service<typeof example> = {
  title: 'service.box',
  run: async ({ settings, secrets, fetch, transaction, sleep }) => {
    const { box: address } = await settings();
    const { boxKey } = await secrets();
    for (;;) {
      // As soon as somebody names one, the service begins anew.
      if (address === null) await sleep(DAY_MS);
      else {
        const answer = await fetch(address, boxKey === null ? {} : { headers: { authorization: `Bearer ${boxKey}` } });
        if (!answer.ok) throw new Error(`The box answered ${answer.status}.`);
        const numbers = (await answer.text()).split(/\s+/).filter(Boolean);
        if (numbers.length > 0)
          await transaction(async ({ asPlugin }) => {
            const filter: Filter = {
              and: [
                { field: 'number', op: 'in', value: numbers },
                { field: 'status', op: 'eq', value: 'out' },
              ],
            };
            for (const { id } of (await asPlugin.query('example.loan', { filter })).data)
              await asPlugin.act('example.loan', id, 'takeBack', { fine: true });
          });
        await sleep(POLL_MS);
      }
    }
  },
};
// #endregion

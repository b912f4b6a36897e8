/** The house's own board, such as a channel of its chat: it is told of what is late. */
import { FetchError, type ExternalJob } from '@kith/sdk';
import type { example } from '../plugin.ts';

// #region fetch
export const board: ExternalJob<typeof example> = {
  prepare: (job) => Promise.resolve(job.data),
  call: async (data, { fetch, settings, secrets, key }) => {
    const { board: address } = await settings();
    if (address === null) return { state: 'refused', error: 'No board is named any more.', retry: false };
    const { boardKey } = await secrets();
    try {
      const { ok, status } = await fetch(address, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'idempotency-key': key,
          ...(boardKey === null ? {} : { authorization: `Bearer ${boardKey}` }),
        },
        body: JSON.stringify(data),
      });
      return ok ? { state: 'sent', result: null } : { state: 'refused', error: `The board answered ${status}.`, retry: status >= 500 };
    } catch (error) {
      // Of these two it is certain that nothing was handed over; all else may have arrived.
      if (error instanceof FetchError && (error.code === 'refused' || error.code === 'unreachable'))
        return { state: 'refused', error: error.message, retry: error.code === 'unreachable' };
      throw error;
    }
  },
  finish: (_job, outcome, ctx) => {
    if (outcome.state !== 'sent') ctx.log('warn', 'the board was not told', { state: outcome.state, error: outcome.error });
    return Promise.resolve();
  },
};
// #endregion

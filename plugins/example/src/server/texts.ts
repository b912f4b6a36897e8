/** Texts to borrowers' phones, and what they answer. */
import type { Channel } from '@kith/sdk';
import type { example } from '../plugin.ts';
import { isSigned } from './signed.ts';

// #region channel
/** A gateway takes texts as mails to a number, and posts what comes back, signed with its key. */
export const texts: Channel<typeof example> = {
  reach: 'phone',
  send: async ({ id, to, body, origin }, { services, settings }) => {
    const { textGateway } = await settings();
    if (textGateway === null || !services.mail.configured) return { state: 'sent', result: { kept: true } };
    const messageId = `<${id}@${new URL(origin).hostname}>`;
    const number = to.address.replace(/\D/g, '');
    const outcome = await services.mail.send({
      to: { name: to.name, address: `${number}@${textGateway}` },
      subject: '',
      text: body,
      messageId,
    });
    return outcome.state === 'sent' ? { state: 'sent', result: { messageId } } : outcome;
  },
  receive: async (call, ctx) => {
    const { textKey } = await ctx.secrets();
    if (textKey === null || !isSigned(call, textKey)) call.fail(403, 'wrong_signature', 'The signature does not fit the body.');
    const [number, key, ...lines] = new TextDecoder().decode(call.raw).split('\n');
    if (!number || !key) call.fail(400, 'malformed', 'Send the number, the id of the text, and the text, a line each.');
    // A gateway repeats what it is not sure of.
    const { data } = await ctx.asPlugin.query('inbox.message', { filter: { field: 'key', op: 'eq', value: `text ${key}` }, limit: 1 });
    if (data.length === 0)
      await ctx.world.records.create('inbox.message', {
        channel: 'text',
        direction: 'in',
        address: number,
        body: lines.join('\n'),
        key: `text ${key}`,
      });
    return {};
  },
};
// #endregion

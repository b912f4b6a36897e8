/** A message as a mail: with the headers by which somebody is rid of more of its kind, as text and as HTML. */
import { escapeHtml } from '@kith/core';
import type { CallTools, ChannelMessage, Delivered, OutgoingMail, Outcome } from '@kith/sdk';
import type { email } from '../plugin.ts';

/** Hands a message to the mail server. */
export async function send(message: ChannelMessage, { services }: CallTools<typeof email>): Promise<Outcome<Delivered>> {
  // Nothing leaves a house that has no mail server; what would have left can be looked at there.
  if (!services.mail.configured) return { state: 'sent', result: { kept: true } };
  const outcome = await services.mail.send(mailOf(message));
  return outcome.state === 'sent' ? { state: 'sent', result: outcome.result as Delivered } : outcome;
}

function mailOf({ id, to, from, subject, body, unsubscribe, origin }: ChannelMessage): OutgoingMail {
  const foot = unsubscribe.visible ? unsubscribe.url : null;
  return {
    from: { name: from.name },
    to,
    subject,
    text: foot === null ? body : `${body}\n\n--\nUnsubscribe: ${foot}\n`,
    html: htmlOf(body, foot),
    messageId: `<${id}@${new URL(origin).hostname}>`,
    headers: {
      'List-Unsubscribe': `<${unsubscribe.url}>`,
      'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
      'X-Kith-Message': id,
      ...(from.address === null ? {} : { 'Reply-To': from.address }),
    },
  };
}

function htmlOf(body: string, foot: string | null): string {
  const linked = (text: string): string => escapeHtml(text).replace(/https?:\/\/[^\s<]+/g, (url) => `<a href="${url}">${url}</a>`);
  const paragraphs = body.split(/\n{2,}/).map((part) => `<p>${linked(part).replaceAll('\n', '<br>')}</p>`);
  return [
    '<!doctype html><html><body>',
    ...paragraphs,
    ...(foot === null ? [] : [`<p><small><a href="${escapeHtml(foot)}">Unsubscribe</a></small></p>`]),
    '</body></html>',
  ].join('\n');
}

/** Why a mail did not go, in the reader's language: the server writes it down in one language only. */
import type { Key, Say } from './words.ts';

const REASONS: readonly [RegExp, Key][] = [
  [/^No consent for “(.*)”\.$/s, 'reason.none'],
  [/^Consent for “(.*)” was withdrawn\.$/s, 'reason.withdrawn'],
  [/^Consent for “(.*)” was withdrawn before it was sent\.$/s, 'reason.withdrawn_since'],
  [/^Consent for “(.*)” has expired\.$/s, 'reason.expired'],
  [/^There is no purpose “(.*)”\.$/s, 'reason.purpose'],
  [/^No purpose was named/, 'reason.no_purpose'],
  [/^The template is not there any more\.$/, 'reason.template'],
  [/^Whoever this is to is not there any more\.$/, 'reason.gone'],
  [/^One writes to a person/, 'reason.recipient'],
  [/^(.*) has no e-mail address\.$/s, 'reason.address'],
  [/^(.*) has no address for this channel\.$/s, 'reason.channel'],
  [/^“(.*)” is no e-mail address\.$/s, 'reason.no_address'],
  [/^There is no value for (.*)\.$/s, 'reason.value'],
  [/^A mail needs a subject\.$/, 'reason.subject'],
  [/^A message needs a text\.$/, 'reason.text'],
  [/^(?:It was refused|The mail server refused it): (.*)$/s, 'reason.refused'],
  [/^Nobody knows whether it arrived: (.*) It is not sent again\.$/s, 'reason.unknown'],
];

/** A reason in words; one that is not known stays as it is. */
export function inWords(reason: string | null, t: Say): string {
  if (reason === null) return '';
  for (const [pattern, key] of REASONS) {
    const match = pattern.exec(reason);
    if (match) return t(key, { name: match[1] ?? '' });
  }
  return reason;
}

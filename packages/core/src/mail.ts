/** Mail that Kith itself sends: invitations, through the server that SMTP_URL names. */
import { IntlMessageFormat } from 'intl-messageformat';
import { createTransport, type Transporter } from 'nodemailer';
import de from '../locales/de.json' with { type: 'json' };
import en from '../locales/en.json' with { type: 'json' };
import type { Json, OutgoingMail, Outcome, Services } from '@kith/sdk';
import { escapeHtml } from './html.ts';
import { errorData, type Log } from './log.ts';

type Key = keyof typeof en;
const CATALOGUES: Readonly<Record<string, Readonly<Record<Key, string>>>> = { en, de };

export interface Mail {
  to: { name: string; address: string };
  subject: string;
  text: string;
  html: string;
}

/** An invitation's mail, before it is put into words. */
export interface InvitationMail {
  to: { name: string; address: string };
  language: string;
  /** Who invites, and the organisation whose Kith it is. */
  by: string;
  organisation: string;
  /** The partner company; absent for staff. */
  company?: string;
  url: string;
  expiresAt: string;
}

/** How long a mail server may take while a person waits for the answer, and while nobody does. */
const PATIENCE_MS = 5_000;
const LONG_PATIENCE_MS = 40_000;

const transportTo = (url: string, patience: number): Transporter =>
  createTransport({ url, connectionTimeout: patience, greetingTimeout: patience, socketTimeout: patience, dnsTimeout: patience });

export class Mailer {
  readonly #transport: Transporter | undefined;
  readonly #patient: Transporter | undefined;
  readonly #from: string;
  readonly #log: Log;

  /**
   * @param url SMTP_URL. Mail comes from its `from` parameter, else from its user where that is an address.
   * @param host of Kith's own address, for a sender where the URL names none
   */
  constructor(url: string | undefined, host: string, log: Log) {
    this.#log = log;
    const parsed = url === undefined ? undefined : new URL(url);
    const user = decodeURIComponent(parsed?.username ?? '');
    this.#from = parsed?.searchParams.get('from') ?? (user.includes('@') ? user : `kith@${host}`);
    parsed?.searchParams.delete('from');
    this.#transport = parsed && transportTo(parsed.href, PATIENCE_MS);
    this.#patient = parsed && transportTo(parsed.href, LONG_PATIENCE_MS);
  }

  /** Whether a server is named. */
  get configured(): boolean {
    return this.#transport !== undefined;
  }

  /** Sends a mail. False when no server is named or it did not take the mail; what is wrong is in the log. */
  async send(mail: Mail): Promise<boolean> {
    if (!this.#transport) return false;
    try {
      await this.#transport.sendMail({ from: this.#from, ...mail });
      return true;
    } catch (error) {
      this.#log('warn', 'a mail was not sent; check SMTP_URL', errorData(error));
      return false;
    }
  }

  /** What calls of jobs send mail with. A mail that the server may have taken is never said to be refused. */
  service(): Services['mail'] {
    return { configured: this.configured, send: (mail) => this.#deliver(mail) };
  }

  async #deliver({ from, to, subject, text, html, messageId, headers }: OutgoingMail): Promise<Outcome<Json>> {
    if (!this.#patient) return { state: 'refused', retry: false, error: 'No mail server is named (SMTP_URL).' };
    try {
      const sent = await this.#patient.sendMail({
        from: { name: from?.name ?? '', address: from?.address ?? this.#from },
        to,
        subject,
        text,
        ...(html === undefined ? {} : { html }),
        ...(messageId === undefined ? {} : { messageId }),
        ...(headers === undefined ? {} : { headers }),
      });
      return { state: 'sent', result: { messageId: sent.messageId ?? messageId ?? null, response: sent.response ?? null } };
    } catch (error) {
      return refusal(error);
    }
  }

  close(): void {
    this.#transport?.close();
    this.#patient?.close();
  }
}

/** Stages of a conversation with a mail server in which nothing has been handed over yet. */
const BEFORE = new Set(['EHLO', 'HELO', 'LHLO', 'STARTTLS', 'AUTH', 'AUTH PLAIN', 'AUTH LOGIN', 'AUTH CRAM-MD5', 'MAIL FROM', 'RCPT TO']);

/** What an error of the mail server means: refused for good, refused for now, or perhaps taken. */
function refusal(error: unknown): Outcome<Json> {
  const message = error instanceof Error ? error.message : String(error);
  const { responseCode, command, code } = error as { responseCode?: number; command?: string; code?: string };
  // It answered: 4xx asks to come again, 5xx means never.
  if (typeof responseCode === 'number' && responseCode >= 400) return { state: 'refused', retry: responseCode < 500, error: message };
  if (code === 'EENVELOPE' || code === 'EAUTH') return { state: 'refused', retry: code === 'EAUTH', error: message };
  if (command !== undefined && BEFORE.has(command)) return { state: 'refused', retry: true, error: message };
  // A connection that breaks is said to break at its beginning, wherever it was; only these were never made.
  const { syscall } = error as { syscall?: string };
  if (
    code === 'EDNS' ||
    syscall === 'connect' ||
    syscall === 'getaddrinfo' ||
    /^(Greeting never received|Connection timeout)/.test(message)
  )
    return { state: 'refused', retry: true, error: message };
  return { state: 'unknown', error: message };
}

/** An invitation in the language of whoever is invited, as plain text and as simple HTML. */
export function invitationMail(invitation: InvitationMail): Mail {
  const { to, language, by, organisation, company, url, expiresAt } = invitation;
  const catalogue = CATALOGUES[language] ?? en;
  const values = {
    by,
    organisation,
    company: company ?? '',
    name: to.name,
    until: new Intl.DateTimeFormat(language, { dateStyle: 'long', timeZone: 'UTC' }).format(new Date(expiresAt)),
  };
  const say = (key: Key): string => String(new IntlMessageFormat(catalogue[key], language, undefined, { ignoreTag: true }).format(values));
  const kind = company === undefined ? 'staff' : 'partner';
  const hello = say(to.name === '' ? 'mail.invitation.hello.unknown' : 'mail.invitation.hello');
  const body = say(`mail.invitation.${kind}.body`);
  const [until, unexpected] = [say('mail.invitation.until'), say('mail.invitation.unexpected')];
  const p = (content: string): string => `<p>${content}</p>`;
  return {
    to,
    // What people typed must not begin another header.
    subject: say(`mail.invitation.${kind}.subject`).replace(/[\r\n]+/g, ' '),
    text: [hello, body, `${say('mail.invitation.link')}\n${url}`, until, unexpected].join('\n\n') + '\n',
    html: [
      `<!doctype html><html lang="${language}"><body>`,
      p(escapeHtml(hello)),
      p(escapeHtml(body)),
      p(`<a href="${escapeHtml(url)}">${escapeHtml(say('mail.invitation.do'))}</a>`),
      p(`<small>${escapeHtml(until)} ${escapeHtml(unexpected)}</small>`),
      '</body></html>',
    ].join('\n'),
  };
}

/** A mail server for tests: it takes everything, on a port of its own, and keeps it. */
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

/** A mail as it arrived. */
export interface CaughtMail {
  /** Addresses, of the envelope. */
  from: string;
  /** Addresses of the envelope. */
  to: string[];
  /** Subject, decoded. */
  subject: string;
  /** The plain text. */
  text: string;
  /** The HTML, if there is one. */
  html: string | undefined;
  /** Headers by name in small letters. */
  headers: ReadonlyMap<string, string>;
  /** All of it, as it was sent. */
  raw: string;
}

export interface MailServer {
  url: string;
  mails: CaughtMail[];
  close: () => Promise<void>;
}

export async function mailServer(): Promise<MailServer> {
  const mails: CaughtMail[] = [];
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    logger: false,
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        const raw = Buffer.concat(chunks).toString('utf8');
        mails.push({ from: mailFrom === false ? '' : mailFrom.address, to: rcptTo.map(({ address }) => address), raw, ...read(raw) });
        done();
      });
    },
  });
  // A client that hangs up is no failure of the server.
  smtp.on('error', () => undefined);
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', resolve));
  const { port } = smtp.server.address() as AddressInfo;
  return {
    url: `smtp://127.0.0.1:${port}/?from=kith@test.example`,
    mails,
    close: () => new Promise((resolve) => smtp.close(() => resolve())),
  };
}

/** Reads what Kith's own mailer writes: plain text, or text and HTML side by side (RFC 2045 to 2047). */
function read(raw: string): Pick<CaughtMail, 'subject' | 'text' | 'html' | 'headers'> {
  const { headers, body } = part(raw);
  const leaves = leavesOf(headers, body);
  const of = (type: string): string | undefined => leaves.find((leaf) => leaf.type === type)?.content;
  return { headers, subject: words(headers.get('subject') ?? ''), text: of('text/plain') ?? '', html: of('text/html') };
}

function part(raw: string): { headers: Map<string, string>; body: string } {
  const text = raw.replaceAll('\r\n', '\n');
  const end = text.indexOf('\n\n');
  const head = end < 0 ? text : text.slice(0, end);
  const headers = new Map<string, string>();
  for (const line of head.replace(/\n[ \t]+/g, ' ').split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { headers, body: end < 0 ? '' : text.slice(end + 2) };
}

function leavesOf(headers: ReadonlyMap<string, string>, body: string): { type: string; content: string }[] {
  const type = headers.get('content-type') ?? 'text/plain';
  const boundary = /boundary="?([^";]+)"?/i.exec(type)?.[1];
  if (boundary !== undefined) {
    const parts = body.split(`--${boundary}`).slice(1, -1);
    return parts.flatMap((one) => {
      const inner = part(one.replace(/^\n/, ''));
      return leavesOf(inner.headers, inner.body);
    });
  }
  const coding = headers.get('content-transfer-encoding')?.toLowerCase();
  const bytes =
    coding === 'base64'
      ? Buffer.from(body, 'base64')
      : coding === 'quoted-printable'
        ? quoted(body.replaceAll('=\n', ''))
        : Buffer.from(body);
  return [{ type: (type.split(';', 1)[0] ?? '').toLowerCase(), content: bytes.toString('utf8').trimEnd() }];
}

const quoted = (text: string): Buffer =>
  Buffer.from(
    text.replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );

/** Encoded words of a header. */
const words = (header: string): string =>
  header
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?utf-8\?([BQ])\?([^?]*)\?=/gi, (_, how: string, text: string) =>
      (how.toUpperCase() === 'B' ? Buffer.from(text, 'base64') : quoted(text.replaceAll('_', ' '))).toString('utf8'),
    );

/**
 * Every page request: who is asking, in which language, and may they come in.
 * The API and the sockets do not pass here; server.ts hands them to core.
 */
import { errorData } from '@kith/core';
import { getRuntime } from '@kith/core/runtime';
import { isLanguage, negotiate } from '@kith/ui/i18n.ts';
import { error, redirect } from '@sveltejs/kit';
import type { RequestEvent } from '@sveltejs/kit';
import type { Handle, HandleFetch, HandleServerError } from '@sveltejs/kit/hooks';
import { AS, PREVIEW } from '@kith/ui/preview.ts';

const WRITES = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);
/** Pages for people without a session. */
const OPEN = /^\/(sign-in|portal\/sign-in|setup|invite\/[^/]+|guest\/[^/]+)\/?$/;
/** Of these, the ones that whoever is signed in does not need. */
const ENTRANCES = /^\/(sign-in|portal\/sign-in|setup)\/?$/;
const PORTAL = /^\/portal(\/|$)/;

const HEADERS: Record<string, string> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
};

export const handle: Handle = async ({ event, resolve }) => {
  const { sessions } = getRuntime();
  const { request, locals } = event;

  const found = await sessions.authenticate({ cookie: request.headers.get('cookie') });
  locals.user = found?.user ?? null;
  locals.principal = found?.principal ?? null;
  locals.as = null;
  const chosen = event.cookies.get('kith_language');
  const own = locals.user?.language ?? chosen;
  locals.language = isLanguage(own) ? own : negotiate(request.headers.get('accept-language'));

  // The bundler's own check takes http behind a proxy for https and knows no bearer keys: ours is the one of the API.
  if (found && WRITES.has(request.method) && !sessions.originAllowed(request.headers.get('origin'))) {
    error(403, 'This request came from another site.');
  }

  if (event.route.id !== null) {
    const to = direct(event);
    if (to) redirect(303, to);
  }

  const theme = locals.user?.theme ?? 'system';
  const response = await resolve(event, {
    transformPageChunk: ({ html }) => html.replace('%kith.language%', locals.language).replace('%kith.theme%', theme),
  });
  // A session in use lives on: the browser is told its new end.
  if (found?.cookie) response.headers.append('set-cookie', found.cookie);
  for (const [name, value] of Object.entries(HEADERS)) response.headers.set(name, value);
  if (response.headers.get('content-type')?.startsWith('text/html')) response.headers.set('cache-control', 'private, no-store');
  return response;
};

/** Where somebody belongs who asked for a page that is not theirs. Partners have the portal, staff the rest. */
function direct({ url, locals, cookies }: RequestEvent): string | null {
  const { principal } = locals;
  const inPortal = PORTAL.test(url.pathname) && !ENTRANCES.test(url.pathname);
  if (!principal) {
    if (OPEN.test(url.pathname)) return null;
    const door = inPortal ? '/portal/sign-in' : '/sign-in';
    const next = url.pathname + url.search;
    return next === '/' || next === '/portal' ? door : `${door}?next=${encodeURIComponent(next)}`;
  }
  const home = principal.outside ? '/portal' : '/';
  if (ENTRANCES.test(url.pathname)) return home;
  if (principal.outside) return inPortal || OPEN.test(url.pathname) ? null : home;
  if (!inPortal) return null;
  // Administrators and managers may look at what a partner sees.
  const as = cookies.get(PREVIEW);
  if (!as || !AS.test(as) || !principal.roles.some((role) => role === 'admin' || role === 'manager')) return home;
  locals.as = as;
  return null;
}

/** Loads on the server reach the API without a network. */
export const handleFetch: HandleFetch = async ({ event, request, fetch }) => {
  const url = new URL(request.url);
  if (url.origin !== event.url.origin || !url.pathname.startsWith('/api/v1/')) return fetch(request);
  const runtime = getRuntime();
  const headers = new Headers(request.headers);
  const cookie = event.request.headers.get('cookie');
  if (cookie) headers.set('cookie', cookie);
  const language = event.request.headers.get('accept-language');
  if (language && !headers.has('accept-language')) headers.set('accept-language', language);
  return runtime.api.handle(new Request(request, { headers }), { ip: event.getClientAddress() });
};

/** What nobody foresaw is logged; the person learns only that it happened. */
export const handleError: HandleServerError = ({ event, kind, error: thrown }) => {
  if (kind !== 'unknown') return;
  getRuntime().log('error', 'a page failed', { route: event.route.id, ...errorData(thrown) });
};

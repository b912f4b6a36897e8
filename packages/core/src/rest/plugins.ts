/** Routes that plugins bring, below `/x/{plugin}`: in the same table as the host's own, with the same checks before them. */
import type { AnyPlugin, AnyServer, Channel, PluginAnswer, PluginRoute } from '@kith/sdk';
import { KithError, malformed, notFound } from '../errors.ts';
import { fileResponse } from '../files.ts';
import { escapeHtml } from '../html.ts';
import { BODY_LIMIT, empty, json, parseBody, readBytes } from './http.ts';
import { callerAddress } from './limits.ts';
import type { Call, Route } from './routes.ts';

/** How often one address may call a public route in a minute, where the plugin does not say. */
const PER_MINUTE = 6_000;

/** The routes of plugins and of their channels, as the host's table has them. */
export const pluginRoutes = (servers: readonly AnyServer[]): Route[] =>
  servers.flatMap(({ plugin, routes = [], channels = {} }) =>
    [...routes, ...Object.entries(channels).flatMap(([name, channel]) => receiving(name, channel))].map((route) => ({
      method: route.method,
      path: `/x/${plugin.id}${route.path}`,
      access: typeof route.access === 'object' ? { permission: `${plugin.id}.${route.access.permission}` } : route.access,
      summary: route.summary,
      handle: (call) => {
        if (route.access === 'public') {
          const caller = callerAddress(call.request.headers.get('x-forwarded-for'), call.ip);
          call.runtime.limits.take(`${plugin.id} ${route.method} ${route.path} ${caller}`, route.perMinute ?? PER_MINUTE);
        }
        return answer(plugin.id, route, call);
      },
    })),
  );

/** Where a channel takes what comes in, if it does. */
const receiving = (name: string, { receive }: Channel<AnyPlugin>): PluginRoute<AnyPlugin>[] =>
  receive
    ? [
        {
          method: 'POST',
          path: `/channels/${name}`,
          access: 'public',
          raw: true,
          summary: `Takes what comes in over the channel “${name}”; what sends it signs it`,
          handle: receive,
        },
      ]
    : [];

async function answer(plugin: string, route: PluginRoute<AnyPlugin>, call: Call): Promise<Response> {
  const { headers } = call.request;
  const raw = route.method === 'GET' ? Buffer.alloc(0) : await readBytes(call.request, BODY_LIMIT);
  const body = route.raw ? {} : await bodyOf(raw, headers.get('content-type'));
  const { answered, file } = await call.runtime.records.within(
    plugin,
    { principal: call.principal, cause: { kind: 'api', id: null } },
    async (ctx) => {
      const answered = await route.handle(
        {
          params: call.params,
          query: call.url.searchParams,
          body,
          raw,
          headers,
          language: call.language,
          fail: (status, code, message, errors) => {
            throw new KithError(status, code, message, errors ? { errors } : {});
          },
        },
        ctx,
      );
      return { answered, file: answered.file === undefined ? null : await ctx.files.read(answered.file) };
    },
  );
  if (answered.file !== undefined) {
    if (!file) throw notFound('file');
    return fileResponse(file);
  }
  if (answered.page) return pageOf(answered.page, answered.status ?? 200, call.language);
  return answered.body === undefined ? empty() : json(answered.body, answered.status ?? 200);
}

/** JSON, or what a form or a mail program posts. */
async function bodyOf(raw: Buffer<ArrayBuffer>, type: string | null): Promise<Record<string, unknown>> {
  if (type === null || !/^(application\/x-www-form-urlencoded|multipart\/form-data)\b/i.test(type)) return parseBody(raw, type);
  try {
    const form = await new Response(raw, { headers: { 'content-type': type } }).formData();
    return Object.fromEntries([...form].flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])));
  } catch {
    throw malformed('The form cannot be read.');
  }
}

/** A page that needs nothing: for people who follow a link from a mail and have no login. */
function pageOf({ title, text, button }: NonNullable<PluginAnswer['page']>, status: number, language: string): Response {
  const html = `<!doctype html>
<html lang="${escapeHtml(language)}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 Inter, system-ui, sans-serif; --accent: oklch(0.5 0.19 275); }
@media (prefers-color-scheme: dark) { :root { --accent: oklch(0.62 0.17 275); } }
body { margin: 0; min-height: 100dvh; display: grid; place-items: center; padding: 24px; box-sizing: border-box; }
main { max-width: 30rem; } h1 { font-size: 20px; font-weight: 600; margin: 0 0 8px; } p { margin: 0 0 20px; }
button { font: inherit; font-weight: 500; color: white; background: var(--accent); border: 0; border-radius: 6px; padding: 10px 18px; cursor: pointer; }
button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
</style></head><body><main><h1>${escapeHtml(title)}</h1><p>${escapeHtml(text)}</p>${
    button === undefined ? '' : `<form method="post"><button>${escapeHtml(button)}</button></form>`
  }</main></body></html>`;
  return new Response(html, {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    },
  });
}

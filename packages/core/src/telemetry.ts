/**
 * What a process tells of itself: OpenTelemetry traces and metrics by the
 * standard environment (OTEL_EXPORTER_OTLP_ENDPOINT and its kin), and metrics
 * for Prometheus on a port of their own.
 *
 * Nothing of the SDK is loaded unless somebody asks for it. What is told are
 * names out of the code (routes, statements, handlers) and numbers: never a
 * path, a value, or who it was.
 */
import http from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
// The variables of OpenTelemetry’s own standard: its exporters read the same ones by themselves.
import { env as standard } from 'node:process';
import {
  metrics,
  propagation,
  SpanKind,
  SpanStatusCode,
  trace,
  context,
  type Attributes,
  type Histogram,
  type Counter,
  type TextMapGetter,
  type Tracer,
} from '@opentelemetry/api';
import { LANES } from '@kith/sdk';
import pg from 'pg';
import { BootError } from './errors.ts';
import { errorData, type Log } from './log.ts';
import { background } from './operation/background.ts';

type Variables = Readonly<Record<string, string | undefined>>;

export interface TelemetryOptions {
  role: 'web' | 'worker';
  version: string;
  /** Where /metrics is served; undefined: nowhere. */
  metricsPort: number | undefined;
  host: string;
  log: Log;
  variables?: Variables;
}

export interface Telemetry {
  /** Begins to tell of a process: its pools, and how far the work in the background is. */
  observe: (runtime: Observed, live?: () => { documents: number; sockets: number }) => void;
  /** Tells the rest, and ends. */
  close: () => Promise<void>;
}

interface Observed {
  pool: pg.Pool;
  writePool: pg.Pool;
  log: Log;
}

interface Instruments {
  request: Histogram;
  flush: Histogram;
  flushUpdates: Histogram;
  job: Histogram;
  jobFailures: Counter;
}

const NAME = 'kith';
let instruments: Instruments | undefined;
let tracer: Tracer | undefined;

/** How often the event loop is asked; what it takes longer is its delay. */
const LOOP_MS = 20;
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** A request was answered. `route` is its template: `/records/{object}/{id}`. */
export function requestAnswered(method: string, route: string, status: number, seconds: number): void {
  instruments?.request.record(seconds, { 'http.request.method': method, 'http.route': route, 'http.response.status_code': status });
}
/** Edits were committed together. */
export function flushed(documents: number, updates: number, seconds: number): void {
  instruments?.flush.record(seconds, { documents: documents > 1 ? 'several' : 'one' });
  instruments?.flushUpdates.record(updates);
}
const HEADERS: TextMapGetter<Headers> = { get: (headers, name) => headers.get(name) ?? undefined, keys: (headers) => [...headers.keys()] };

/** Jobs of a handler were dealt with. */
export function jobsDone(handler: string, seconds: number): void {
  instruments?.job.record(seconds, { handler });
}
export function jobFailed(handler: string): void {
  instruments?.jobFailures.add(1, { handler });
}

/**
 * Does `work` as a span of a trace, if traces are wanted.
 * @param carrier Headers that may name the trace that it is part of (W3C Trace Context)
 */
export function traced<T>(
  name: string,
  attributes: Attributes,
  work: () => Promise<T>,
  kind: 'server' | 'consumer' | 'internal' = 'internal',
  carrier: Headers | null = null,
): Promise<T> {
  if (!tracer) return work();
  const kinds = { server: SpanKind.SERVER, consumer: SpanKind.CONSUMER, internal: SpanKind.INTERNAL };
  const from = carrier ? propagation.extract(context.active(), carrier, HEADERS) : context.active();
  return tracer.startActiveSpan(name, { attributes, kind: kinds[kind] }, from, async (span) => {
    try {
      return await work();
    } catch (error) {
      // The message may hold what somebody typed: its class is enough.
      span.setStatus({ code: SpanStatusCode.ERROR });
      span.setAttribute('error.type', typeOf(error));
      throw error;
    } finally {
      span.end();
    }
  });
}
/** Gives the span under way its final name: a request's route is known late. */
export function nameSpan(name: string, attributes: Attributes): void {
  if (!tracer) return;
  trace.getActiveSpan()?.updateName(name).setAttributes(attributes);
}
/** Ids of the trace under way, for log lines. */
export function traceIds(): Record<string, string> {
  const span = tracer && trace.getActiveSpan()?.spanContext();
  return span ? { trace_id: span.traceId, span_id: span.spanId } : {};
}

const typeOf = (error: unknown): string =>
  error instanceof Error ? ('code' in error && typeof error.code === 'string' ? error.code : error.name) : 'unknown';

/** Starts what the environment asks for; without any of it, nothing. */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const variables = options.variables ?? standard;
  const get = (name: string): string | undefined => variables[name]?.trim() || undefined;
  const disabled = get('OTEL_SDK_DISABLED')?.toLowerCase() === 'true';
  const wants = (signal: 'TRACES' | 'METRICS'): boolean =>
    !disabled &&
    (get('OTEL_EXPORTER_OTLP_ENDPOINT') ?? get(`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`)) !== undefined &&
    get(`OTEL_${signal}_EXPORTER`)?.toLowerCase() !== 'none';
  const { metricsPort: port } = options;
  const closers: (() => Promise<unknown>)[] = [];
  if (port === undefined && !wants('METRICS') && !wants('TRACES')) return { observe: () => undefined, close: () => Promise.resolve() };

  const { defaultResource, detectResources, envDetector, resourceFromAttributes } = await import('@opentelemetry/resources');
  const resource = defaultResource()
    .merge(
      resourceFromAttributes({
        'service.name': get('OTEL_SERVICE_NAME') ?? `kith-${options.role}`,
        'service.version': options.version,
        'service.instance.id': `${process.pid}`,
        'kith.role': options.role,
      }),
    )
    .merge(detectResources({ detectors: [envDetector] }));

  if (port !== undefined || wants('METRICS')) {
    const { MeterProvider, PeriodicExportingMetricReader } = await import('@opentelemetry/sdk-metrics');
    const readers = [];
    if (wants('METRICS')) {
      const { OTLPMetricExporter } = await import('@opentelemetry/exporter-metrics-otlp-http');
      const every = Number(get('OTEL_METRIC_EXPORT_INTERVAL') ?? 60_000);
      readers.push(
        new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(), exportIntervalMillis: every > 0 ? every : 60_000 }),
      );
    }
    if (port !== undefined) {
      const { PrometheusExporter } = await import('@opentelemetry/exporter-prometheus');
      const exporter = new PrometheusExporter({ preventServerStart: true, withoutScopeInfo: true });
      readers.push(exporter);
      const server = await serve(options.host, port, (request, response) => exporter.getMetricsRequestHandler(request, response));
      closers.push(async () => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      });
    }
    const provider = new MeterProvider({ resource, readers });
    metrics.setGlobalMeterProvider(provider);
    closers.unshift(async () => {
      metrics.disable();
      await provider.shutdown();
    });
    const meter = metrics.getMeter(NAME, options.version);
    const seconds = { unit: 's', advice: { explicitBucketBoundaries: SECONDS } };
    instruments = {
      request: meter.createHistogram('http.server.request.duration', {
        ...seconds,
        description: 'Requests, by the template of their route',
      }),
      flush: meter.createHistogram('kith.flush.duration', { ...seconds, description: 'Commits of edits to documents' }),
      flushUpdates: meter.createHistogram('kith.flush.updates', {
        description: 'Updates that were committed together',
        advice: { explicitBucketBoundaries: [1, 2, 5, 10, 20, 50, 100, 200] },
      }),
      job: meter.createHistogram('kith.job.duration', { ...seconds, description: 'Parcels of jobs, by handler' }),
      jobFailures: meter.createCounter('kith.job.failures', { description: 'Attempts that failed, by handler' }),
    };
  }

  if (wants('TRACES')) {
    const { BatchSpanProcessor, TracerProvider, AlwaysOffSampler, AlwaysOnSampler, ParentBasedSampler, TraceIdRatioBasedSampler } =
      await import('@opentelemetry/sdk-trace');
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
    const { AsyncLocalStorageContextManager } = await import('@opentelemetry/context-async-hooks');
    const wanted = get('OTEL_TRACES_SAMPLER') ?? 'parentbased_always_on';
    const share = Number(get('OTEL_TRACES_SAMPLER_ARG') ?? 1);
    const root = wanted.endsWith('always_off')
      ? new AlwaysOffSampler()
      : wanted.endsWith('traceidratio')
        ? new TraceIdRatioBasedSampler(Number.isFinite(share) ? share : 1)
        : new AlwaysOnSampler();
    const { W3CTraceContextPropagator } = await import('@opentelemetry/core');
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    const provider = new TracerProvider({
      resource,
      sampler: wanted.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root,
      spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
    });
    trace.setGlobalTracerProvider(provider);
    tracer = trace.getTracer(NAME, options.version);
    const untraced = traceStatements();
    closers.unshift(async () => {
      untraced();
      tracer = undefined;
      trace.disable();
      context.disable();
      propagation.disable();
      await provider.shutdown();
    });
  }

  return {
    observe: (runtime, live) => closers.unshift(observe(runtime, live)),
    close: async () => {
      instruments = undefined;
      for (const close of closers.splice(0))
        await close().catch((error: unknown) => options.log('debug', 'telemetry did not end', errorData(error)));
    },
  };
}

function serve(host: string, port: number, handle: http.RequestListener): Promise<http.Server> {
  const server = http.createServer((request, response) => {
    if (request.method === 'GET' && request.url?.split('?')[0] === '/metrics') handle(request, response);
    else response.writeHead(404, { 'content-type': 'text/plain' }).end('Metrics are at /metrics.\n');
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new BootError(
              `Port ${port} (KITH_METRICS_PORT) on ${host} is taken: choose another. With several roles each takes one, counted up.`,
            )
          : error,
      ),
    );
    server.listen(port, host, () => resolve(server));
  });
}

/** Gauges: read when somebody asks for them. */
function observe({ pool, writePool, log }: Observed, live?: () => { documents: number; sockets: number }): () => Promise<void> {
  const meter = metrics.getMeter(NAME);
  const gauge = (name: string, description: string, unit?: string) =>
    meter.createObservableGauge(name, { description, ...(unit ? { unit } : {}) });
  const connections = gauge('db.client.connection.count', 'Connections to Postgres, by pool and state');
  const pending = gauge('db.client.connection.pending_requests', 'Who waits for a connection to Postgres');
  const sockets = gauge('kith.sockets', 'Open WebSockets');
  const documents = gauge('kith.documents', 'Documents in memory');
  const memory = gauge('process.memory.usage', 'Memory that the process holds', 'By');
  const delay = {
    p50: gauge('nodejs.eventloop.delay.p50', 'Delay of the event loop', 's'),
    p99: gauge('nodejs.eventloop.delay.p99', 'Delay of the event loop', 's'),
  };
  const due = gauge('kith.jobs.due', 'Jobs whose time has come, by lane');
  const lag = gauge('kith.jobs.lag', 'How long the oldest job whose time has come has waited, by lane', 's');
  const parked = gauge('kith.jobs.parked', 'Jobs that kept failing and were set aside');
  const outboxRows = gauge('kith.outbox.rows', 'Changes that have no position yet');
  const outboxAge = gauge('kith.outbox.age', 'Age of the oldest of them', 's');
  const behind = gauge('kith.events.behind', 'Events by which the slowest follower is behind');
  const unsettled = gauge('kith.unsettled', 'Values that should have come to rest');
  const lagging = gauge('kith.documents.lagging', 'Documents whose large texts are not in their columns yet');
  const all = [
    connections,
    pending,
    sockets,
    documents,
    memory,
    delay.p50,
    delay.p99,
    due,
    lag,
    parked,
    outboxRows,
    outboxAge,
    behind,
    unsettled,
    lagging,
  ];
  const loop = monitorEventLoopDelay({ resolution: LOOP_MS });
  loop.enable();
  const read = async (result: {
    observe: (gauge: (typeof all)[number], value: number, attributes?: Attributes) => void;
  }): Promise<void> => {
    for (const [name, one] of [
      ['read', pool],
      ['write', writePool],
    ] as const) {
      result.observe(connections, one.idleCount, { pool: name, state: 'idle' });
      result.observe(connections, one.totalCount - one.idleCount, { pool: name, state: 'used' });
      result.observe(pending, one.waitingCount, { pool: name });
    }
    if (live) {
      const { sockets: open, documents: held } = live();
      result.observe(sockets, open);
      result.observe(documents, held);
    }
    result.observe(memory, process.memoryUsage.rss());
    for (const [name, one] of [
      [50, delay.p50],
      [99, delay.p99],
    ] as const)
      result.observe(one, Math.max(0, loop.percentile(name) / 1e9 - LOOP_MS / 1_000));
    loop.reset();
    try {
      const state = await background(pool);
      for (const lane of LANES) {
        result.observe(due, state.lanes[lane].due, { lane });
        result.observe(lag, state.lanes[lane].lag, { lane });
      }
      result.observe(parked, state.parked);
      result.observe(outboxRows, state.outbox.rows);
      result.observe(outboxAge, state.outbox.age);
      result.observe(behind, state.behind);
      result.observe(unsettled, state.unsettled);
      result.observe(lagging, state.lagging);
    } catch (error) {
      // The database is away: what the process knows by itself is told all the same.
      log('debug', 'metrics of the background cannot be read', errorData(error));
    }
  };
  meter.addBatchObservableCallback(read, all);
  return () => {
    loop.disable();
    meter.removeBatchObservableCallback(read, all);
    return Promise.resolve();
  };
}

/** Statements of a traced request become spans under the name they were prepared by; their text and values stay here. */
function traceStatements(): () => void {
  type Query = (...args: unknown[]) => unknown;
  const prototype = pg.Client.prototype as unknown as { query: Query };
  const original = prototype.query;
  prototype.query = function query(this: unknown, ...args: unknown[]): unknown {
    const [first] = args;
    if (!tracer || !trace.getActiveSpan() || (typeof first === 'object' && first !== null && 'submit' in first))
      return original.apply(this, args);
    const name =
      typeof first === 'object' && first !== null && 'name' in first && typeof first.name === 'string' ? first.name : 'statement';
    const span = tracer.startSpan(name, {
      kind: SpanKind.CLIENT,
      attributes: { 'db.system.name': 'postgresql', 'db.query.summary': name },
    });
    const end = (error: unknown): void => {
      if (error) {
        span.setStatus({ code: SpanStatusCode.ERROR });
        span.setAttribute('error.type', typeOf(error));
      }
      span.end();
    };
    const last = args.at(-1);
    if (typeof last === 'function') {
      args[args.length - 1] = (error: unknown, ...rest: unknown[]): void => {
        end(error);
        (last as Query)(error, ...rest);
      };
      return original.apply(this, args);
    }
    const answer = original.apply(this, args);
    if (answer instanceof Promise) answer.then(() => end(undefined), end);
    else end(undefined);
    return answer;
  };
  return () => {
    prototype.query = original;
  };
}

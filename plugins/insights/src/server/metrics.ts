/** The metrics that plugins declare. Figures are read by whoever looks, through the lists, under their own rights. */
import type { Json, Metric, Model, PluginRoute } from '@kith/sdk';
import type { insights } from '../plugin.ts';

/** A declared metric, with its name in the language of whoever asks. */
export interface NamedMetric extends Metric {
  /** `plugin.key` */
  id: string;
  label: string;
}

/** The metrics of all plugins that are switched on, in the order of the plugins. */
export const metricsOf = (model: Model, language: string): NamedMetric[] =>
  [...model.plugins.values()].flatMap(({ id, metrics = {}, locales }) =>
    Object.entries(metrics).map(([key, metric]) => ({
      ...metric,
      id: `${id}.${key}`,
      label: locales[language]?.[`metric.${key}`] ?? locales.en?.[`metric.${key}`] ?? key,
    })),
  );

export const routes: readonly PluginRoute<typeof insights>[] = [
  {
    method: 'GET',
    path: '/metrics',
    access: 'staff',
    summary: 'The metrics that plugins declare; their figures are read from the lists of their objects',
    handle: ({ language }, ctx) =>
      Promise.resolve({ body: { data: metricsOf(ctx.world.model, language).map((one) => ({ ...one }) as Json) } }),
  },
];

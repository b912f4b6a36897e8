/** A list of equipment, as workshops keep it in a spreadsheet. */
import { parse } from 'csv-parse/sync';
import type { Importer } from '@kith/sdk';
import type { example } from '../plugin.ts';

// #region importer
const KINDS = { tool: 'tool', vehicle: 'vehicle', other: 'other' } as const;

/** Reads CSV with a line of names first: name, serial, kind, rate (a day, in euros). */
export const equipmentList: Importer<typeof example, 'example.equipment'> = {
  title: 'importer.equipmentList',
  object: 'example.equipment',
  accepts: ['.csv'],
  *read({ data, name: file }) {
    // What it throws about quotes and columns says in which line.
    const rows = parse(data, { bom: true, columns: true, skip_empty_lines: true, trim: true, info: true }) as unknown as {
      info: { lines: number };
      record: Record<string, string>;
    }[];
    if (rows[0] && !('name' in rows[0].record)) throw new Error('The first line must name the columns: name, serial, kind, rate.');
    for (const { record, info } of rows) {
      const where = `line ${info.lines}`;
      const kind = KINDS[(record.kind || 'other') as keyof typeof KINDS];
      if (!kind) yield { where, problem: `“${record.kind}” is no kind; use ${Object.keys(KINDS).join(', ')}` };
      else
        yield {
          where,
          fields: {
            name: record.name || null,
            serial: record.serial || null,
            kind,
            rate: record.rate ? { amount: record.rate, currency: 'EUR' } : null,
            importedFrom: file,
          },
        };
    }
  },
};
// #endregion

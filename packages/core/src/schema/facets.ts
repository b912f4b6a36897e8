/**
 * Which document each field lives in, as it is stored. New fields go to the
 * document of their class. Fields whose readers have parted from those of
 * their neighbours move out, and the documents concerned begin anew.
 */
import { classOf, STAFF, type Model, type ModelObject } from '@kith/sdk';
import type pg from 'pg';
import { transaction } from '../database.ts';
import { BootError } from '../errors.ts';
import { catchUp, lockRecord, renew, type FieldNumbers } from '../records/documents.ts';
import { adoptFacets, MOST_FACETS } from '../records/facets.ts';

interface Stored {
  num: number;
  name: string;
  fields: string[];
}
/** A field that is in no document. */
const NOWHERE = -1;

/** Reads what is stored into the model. */
export async function readFacets(pool: Pick<pg.Pool, 'query'>, model: Model): Promise<void> {
  for (const [object, facets] of await storedFacets(pool, model)) if (facets.length > 0) adoptFacets(object, facets);
}

async function storedFacets(pool: Pick<pg.Pool, 'query'>, model: Model): Promise<Map<ModelObject, Stored[]>> {
  const { rows: facets } = await pool.query<{ object: string; num: number; name: string }>('select object, num, name from kith.facet');
  const { rows: fields } = await pool.query<{ object: string; name: string; facet: number }>('select object, name, facet from kith.field');
  const found = new Map<ModelObject, Stored[]>();
  for (const object of model.objects.values()) {
    found.set(
      object,
      facets
        .filter((one) => one.object === object.name)
        .map(({ num, name }) => ({
          num,
          name,
          fields: fields.filter((field) => field.object === object.name && field.facet === num).map((field) => field.name),
        })),
    );
  }
  return found;
}

/**
 * Assigns fields to documents.
 * @param fresh Fields that have been given their number just now, by object.
 */
export async function assignFacets(
  client: pg.PoolClient,
  pool: pg.Pool,
  model: Model,
  numbers: ReadonlyMap<string, FieldNumbers>,
  fresh: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<string[]> {
  const applied: string[] = [];
  const stored = await storedFacets(client, model);
  for (const object of model.objects.values()) {
    const facets = stored.get(object)!;
    const first = facets.length === 0;
    if (first) facets.push({ num: 0, name: STAFF, fields: [] });
    const { rows } = await client.query<{ name: string; facet: number }>('select name, facet from kith.field where object = $1', [
      object.name,
    ]);
    const at = new Map(rows.map((row) => [row.name, row.facet]));
    const changed = new Set<number>();
    const move = (name: string, to: number): void => {
      const from = at.get(name)!;
      if (from === to) return;
      const old = facets.find((facet) => facet.num === from);
      if (old) old.fields = old.fields.filter((one) => one !== name);
      facets.find((facet) => facet.num === to)?.fields.push(name);
      at.set(name, to);
      // A field that is new was in no document; one that moves leaves its old one, and may find the new one in use.
      if (!fresh.get(object.name)?.has(name) && (!first || object.fields.get(name)?.merge !== 'none')) {
        if (from !== NOWHERE) changed.add(from);
        if (to !== NOWHERE) changed.add(to);
      }
    };
    const live = (name: string): boolean => (object.fields.get(name)?.merge ?? 'none') !== 'none';
    for (const name of at.keys()) if (object.fields.has(name) && !live(name)) move(name, NOWHERE);
    for (const facet of [...facets]) {
      const here = facet.fields.filter((name) => live(name) && !fresh.get(object.name)?.has(name));
      const classes = [...new Set(here.map((name) => classOf(object, name)))].sort();
      // One class alone stays where it is, whatever the document is called; the first document is nobody's from outside.
      if (classes.length <= 1 && (facet.num !== 0 || classes.every((one) => one === STAFF))) continue;
      const stays = facet.num === 0 ? STAFF : classes.includes(facet.name) ? facet.name : classes[0];
      for (const name of here) {
        const wanted = classOf(object, name);
        if (wanted !== stays) move(name, placeFor(object, facets, wanted, live).num);
      }
    }
    for (const name of at.keys()) {
      const unplaced = at.get(name) === NOWHERE || fresh.get(object.name)?.has(name);
      if (live(name) && unplaced) move(name, placeFor(object, facets, classOf(object, name), live).num);
    }
    if (facets.length > MOST_FACETS)
      throw new BootError(`Object ${object.name} would have more than ${MOST_FACETS} documents; open fewer combinations of its fields.`);
    for (const { num, name } of facets) {
      await client.query('insert into kith.facet (object, num, name) values ($1, $2, $3) on conflict do nothing', [object.name, num, name]);
    }
    for (const row of rows) {
      if (at.get(row.name) === row.facet) continue;
      await client.query('update kith.field set facet = $3 where object = $1 and name = $2', [object.name, row.name, at.get(row.name)]);
    }
    adoptFacets(object, facets);
    if (changed.size === 0) continue;
    applied.push(`documents of ${object.name}`);
    await renewAll(pool, object, numbers.get(object.name)!, [...changed]);
  }
  return applied;
}

/** The document for fields of a class: the one that holds just such fields, or a new one. */
function placeFor(object: ModelObject, facets: Stored[], wanted: string, live: (name: string) => boolean): Stored {
  const fits = facets.find((facet) =>
    facet.num === 0
      ? wanted === STAFF
      : facet.fields.some(live)
        ? facet.fields.filter(live).every((name) => classOf(object, name) === wanted)
        : facet.name === wanted,
  );
  if (fits) return fits;
  const taken = new Set(facets.map((facet) => facet.name));
  let name = wanted;
  for (let i = 2; taken.has(name); i++) name = `${wanted}.${i}`;
  const made: Stored = { num: Math.max(...facets.map((facet) => facet.num)) + 1, name, fields: [] };
  facets.push(made);
  return made;
}

/** Every stored document of these facets begins a new life with the fields that it now has. */
async function renewAll(pool: pg.Pool, object: ModelObject, numbers: FieldNumbers, facets: readonly number[]): Promise<void> {
  const { rows } = await pool.query<{ record: string }>(
    'select distinct record from kith.doc_head where object = $1 and facet = any($2) order by record',
    [object.name, facets],
  );
  for (const { record } of rows) {
    await transaction(pool, async (client) => {
      await lockRecord(client, object, record);
      await catchUp(client, object, record);
      for (const num of facets) {
        const facet = object.facets.find((one) => one.num === num);
        if (facet) await renew(client, object, numbers, record, facet);
      }
    });
  }
}

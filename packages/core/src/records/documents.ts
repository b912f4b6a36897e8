/**
 * Documents as they are stored: a head with a sequence, a snapshot, and the
 * updates since. Reading, seeding, compacting; who may, is decided elsewhere.
 */
import { loadDoc, readField, serverUpdate, type ServerWrite } from '@kith/doc';
import type { FieldValue, Model, ModelField, ModelObject } from '@kith/sdk';
import type pg from 'pg';
import * as Y from 'yjs';
import { quote, transaction, type Queryable } from '../database.ts';
import { KithError, notFound } from '../errors.ts';
import { columnList, columnType, fieldsOf, tableName, toLiteral, type SystemRow } from './columns.ts';
import { docBit, fieldsIn, hasDocument, type Facet } from './facets.ts';

/** A record's row together with the documents that were asked for, as of one moment. */
export interface Stored {
  row: SystemRow;
  fields: Record<string, FieldValue>;
  /** By the facet's number; those that exist. */
  documents: Map<number, StoredDocument>;
}
export interface StoredDocument {
  generation: number;
  seq: number;
  /** Snapshot and the updates after it, in order. */
  parts: Uint8Array[];
  /** How many updates follow the snapshot. */
  tail: number;
  /** The sequence whose large texts the columns show; null when they are up to date. */
  shown: number | null;
}

interface StoredRow extends SystemRow {
  [field: string]: unknown;
}

/**
 * Reads a row and the documents of these facets in one statement, hence of one moment.
 * @returns undefined when there is no such record, in the bin or not.
 * @throws KithError 500 `document_gap` when the log is not contiguous: rather no document than a wrong one.
 */
export async function readStored(
  client: Queryable,
  object: ModelObject,
  id: string,
  facets: readonly Facet[],
): Promise<Stored | undefined> {
  const { rows } = await client.query<StoredRow>(
    facets.length === 0
      ? {
          name: `kith_row_${object.name}`,
          text: `select ${columnList(object, 'o')} from ${tableName(object)} o where o.id = $1`,
          values: [id],
        }
      : {
          name: `kith_stored_${object.name}`,
          text: `select o.*, h.facet as "doc facet", h.generation as "doc generation", h.seq as "doc seq", h.shown as "doc shown",
              s.upto as "doc upto", s.state as "doc state",
              (select array_agg(l.upd order by l.seq) from kith.doc_log l where (l.record, l.facet) = (h.record, h.facet) and l.seq > s.upto) as "doc tail"
            from (select ${columnList(object, 'o')} from ${tableName(object)} o where o.id = $1) o
            left join kith.doc_head h on h.record = o.id and h.facet = any($2::smallint[])
            left join kith.doc_snapshot s on (s.record, s.facet) = (h.record, h.facet)`,
          values: [id, facets.map((facet) => facet.num)],
        },
  );
  const row = rows[0];
  if (!row) return undefined;
  const documents = new Map<number, StoredDocument>();
  for (const facet of facets) {
    const found = rows.find((one) => one['doc facet'] === facet.num);
    const document = documentOf(object, row, found, facet);
    if (document) documents.set(facet.num, document);
  }
  return { row, fields: fieldsOf(object, row), documents };
}

function documentOf(object: ModelObject, { id, docs }: StoredRow, row: StoredRow | undefined, facet: Facet): StoredDocument | null {
  const has = hasDocument(docs, facet);
  const seq = (row?.['doc seq'] as number | undefined) ?? null;
  if (!has && seq === null) return null;
  const tail = (row?.['doc tail'] as Buffer[] | null | undefined) ?? [];
  const upto = (row?.['doc upto'] as number | null | undefined) ?? null;
  if (!row || !has || seq === null || upto === null || tail.length !== seq - upto) {
    throw new KithError(
      500,
      'document_gap',
      `The document of ${object.name} ${id} is not whole; restore it from a backup before it is edited.`,
    );
  }
  return {
    generation: row['doc generation'] as number,
    seq,
    parts: [row['doc state'] as Buffer, ...tail],
    tail: tail.length,
    shown: row['doc shown'] as number | null,
  };
}

/** Numbers of an object's fields, under which the server writes into documents. */
export type FieldNumbers = ReadonlyMap<string, number>;

/**
 * A record's document, made from its row if there is none yet. That happens
 * once, under the record's lock, and is stored before anybody sees it.
 */
export async function openStored(
  pool: pg.Pool,
  object: ModelObject,
  numbers: FieldNumbers,
  id: string,
  facet: Facet,
): Promise<Stored & { document: StoredDocument }> {
  const seen = await readStored(pool, object, id, [facet]);
  const there = seen?.documents.get(facet.num);
  if (seen && there) return { ...seen, document: there };
  return transaction(pool, async (client) => {
    const lock = await client.query(`select id from ${tableName(object)} where id = $1 and deleted_at is null for no key update`, [id]);
    if (lock.rowCount === 0) throw notFound('record');
    const stored = await readStored(client, object, id, [facet]);
    if (!stored) throw notFound('record');
    const document = stored.documents.get(facet.num);
    if (document) return { ...stored, document };
    return { ...stored, ...(await seed(client, object, numbers, stored, facet, await firstGeneration(client))) };
  });
}

/**
 * Begins a document's life anew from its row, under the record's lock: in a new generation, so that no copy of the old
 * one can be joined to it. Columns must show all that the old one held; {@link catchUp} sees to that.
 * @returns whether there was a document
 */
export async function renew(
  client: pg.PoolClient,
  object: ModelObject,
  numbers: FieldNumbers,
  id: string,
  facet: Facet,
  generation?: number,
): Promise<boolean> {
  const { rows } = await client.query<{ generation: number }>(
    'select generation from kith.doc_head where (record, facet) = ($1, $2) for no key update',
    [id, facet.num],
  );
  if (!rows[0]) return false;
  const stored = await readStored(client, object, id, []);
  if (!stored) return false;
  // The ids of who wrote in the old life stay known: by them a copy of it is recognised.
  for (const name of ['doc_head', 'doc_log', 'doc_snapshot'])
    await client.query(`delete from kith.${name} where (record, facet) = ($1, $2)`, [id, facet.num]);
  await seed(client, object, numbers, stored, facet, generation ?? rows[0].generation + 1);
  return true;
}

/** Name of the setting that says in which generation documents begin. */
const DOCUMENTS = 'documents';

/** 0, until a backup was restored: what browsers kept of documents made after it must not be joined to any made since. */
async function firstGeneration(client: Queryable): Promise<number> {
  const { rows } = await client.query<{ value: { generation: number } }>({
    name: 'kith_first_generation',
    text: 'select value from kith.setting where name = $1',
    values: [DOCUMENTS],
  });
  return rows[0]?.value.generation ?? 0;
}

/**
 * Begins every document's life anew, in this generation, and those that are made later too: for a database that was
 * put back to an earlier time.
 * @returns how many there are
 */
export async function renewEverything(pool: pg.Pool, model: Model, generation: number): Promise<number> {
  await pool.query('insert into kith.setting (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value', [
    DOCUMENTS,
    JSON.stringify({ generation }),
  ]);
  const { rows: fields } = await pool.query<{ object: string; name: string; num: number }>('select object, name, num from kith.field');
  const numbers = new Map([...model.objects.keys()].map((name) => [name, new Map<string, number>()]));
  for (const field of fields) numbers.get(field.object)?.set(field.name, field.num);
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const { rows } = await pool.query<{ record: string; object: string; facets: number[] }>(
      `select record, object, array_agg(facet) as facets from kith.doc_head where record > $1 group by 1, 2 order by 1 limit 1000`,
      [after],
    );
    if (rows.length === 0) break;
    after = rows.at(-1)!.record;
    const next = rows.values();
    const hand = async (): Promise<void> => {
      for (const { record, object: name, facets } of next) {
        const object = model.objects.get(name);
        // Of a plugin that left: its documents wait as they are.
        if (!object) continue;
        await transaction(pool, async (client) => {
          await lockRecord(client, object, record);
          await catchUp(client, object, record);
          for (const num of facets) {
            const facet = object.facets.find((one) => one.num === num);
            if (facet) await renew(client, object, numbers.get(name)!, record, facet, generation);
          }
        });
      }
    };
    await Promise.all([hand(), hand(), hand(), hand()]);
  }
  await pool.query('update kith.doc_head set generation = $1 where generation < $1', [generation]);
  const { rows } = await pool.query<{ count: number }>('select count(*) as count from kith.doc_head');
  return rows[0]!.count;
}

/** Brings the columns of large texts up to date with their documents, under the record's lock. */
export async function catchUp(client: pg.PoolClient, object: ModelObject, id: string): Promise<void> {
  const { rows } = await client.query<{ facet: number }>('select facet from kith.doc_head where record = $1 and shown is not null', [id]);
  for (const { facet: num } of rows) {
    const facet = object.facets.find((one) => one.num === num) ?? { name: '', num, fields: new Set<string>() };
    const document = (await readStored(client, object, id, [facet]))?.documents.get(num);
    if (!document) continue;
    const doc = loadDoc(document.parts);
    // By what the document holds, whatever the facet is said to hold by now.
    for (const field of object.fields.values()) {
      if ((field.type !== 'longText' && field.type !== 'richText') || !doc.share.has(field.name)) continue;
      const merge = field.type === 'longText' ? 'text' : 'rich';
      const value = readField(doc, { ...field, merge }) as string | null;
      await client.query(`update ${tableName(object)} set ${quote(field.name)} = $2 where id = $1`, [id, value]);
    }
    doc.destroy();
    await client.query('update kith.doc_head set shown = null where (record, facet) = ($1, $2)', [id, num]);
  }
}

async function seed(
  client: pg.PoolClient,
  object: ModelObject,
  numbers: FieldNumbers,
  stored: Stored,
  facet: Facet,
  generation: number,
): Promise<{ document: StoredDocument; fields: Record<string, FieldValue> }> {
  const doc = new Y.Doc();
  const live = fieldsIn(object, facet);
  await client.query(`insert into kith.doc_head (record, facet, object, generation) values ($1, $2, $3, $4)`, [
    stored.row.id,
    facet.num,
    object.name,
    generation,
  ]);
  const writes: ServerWrite[] = live
    .filter((field) => stored.fields[field.name] !== null)
    .map((field) => ({ field, num: numbers.get(field.name)!, value: stored.fields[field.name]! }));
  serverUpdate(doc, writes, generation);
  const state = Buffer.from(Y.encodeStateAsUpdate(doc));
  await client.query(`insert into kith.doc_snapshot (record, facet, upto, state) values ($1, $2, 0, $3)`, [
    stored.row.id,
    facet.num,
    state,
  ]);
  // Markdown from outside may read back in another form: the column takes the document's, so that the two are the same from the start.
  const fields = { ...stored.fields };
  const moved: ModelField[] = [];
  for (const field of live) {
    if (field.merge !== 'rich') continue;
    const shown = readField(doc, field) as string | null;
    if (shown !== fields[field.name]) {
      fields[field.name] = shown;
      moved.push(field);
    }
  }
  const sets = moved.map((field, i) => `, ${quote(field.name)} = $${i + 3}::${columnType(field)}`).join('');
  await client.query(`update ${tableName(object)} set docs = docs | $2${sets} where id = $1`, [
    stored.row.id,
    docBit(facet),
    ...moved.map((field) => toLiteral(field, fields[field.name]!)),
  ]);
  return { document: { generation, seq: 0, parts: [state], tail: 0, shown: null }, fields };
}

/** Takes the lock that every writer of a record takes first, and waits for it. */
export async function lockRecord(client: Queryable, object: ModelObject, id: string): Promise<void> {
  await client.query({ text: `select from ${tableName(object)} where id = $1 for no key update`, values: [id] });
}

/** The updates of a document after a sequence, in order; null when they have been compacted away. */
export async function readTail(
  client: Queryable,
  record: string,
  facet: Facet,
  after: number,
): Promise<{ generation: number; seq: number; updates: Uint8Array[] } | null> {
  const { rows } = await client.query<{ generation: number; seq: number; updates: Buffer[] | null }>({
    name: 'kith_tail',
    text: `select h.generation, h.seq,
        (select array_agg(l.upd order by l.seq) from kith.doc_log l where (l.record, l.facet) = (h.record, h.facet) and l.seq > $3) as updates
      from kith.doc_head h where (h.record, h.facet) = ($1, $2)`,
    values: [record, facet.num, after],
  });
  const row = rows[0];
  if (!row) return null;
  const updates = row.updates ?? [];
  return updates.length === row.seq - after ? { generation: row.generation, seq: row.seq, updates } : null;
}

/**
 * Folds the log into the snapshot. Replaces only an older snapshot and deletes
 * exactly the rows that it read, or does nothing at all.
 * @returns how many updates were folded in.
 */
export async function compact(pool: pg.Pool, record: string, facet: Facet): Promise<number> {
  const { rows } = await pool.query<{ upto: number; state: Buffer; seqs: number[] | null; updates: Buffer[] | null }>(
    `select s.upto, s.state,
        (select array_agg(l.seq order by l.seq) from kith.doc_log l where (l.record, l.facet) = (s.record, s.facet)) as seqs,
        (select array_agg(l.upd order by l.seq) from kith.doc_log l where (l.record, l.facet) = (s.record, s.facet)) as updates
      from kith.doc_snapshot s where (s.record, s.facet) = ($1, $2)`,
    [record, facet.num],
  );
  const row = rows[0];
  if (!row?.seqs || !row.updates) return 0;
  const seqs = row.seqs.map(Number);
  if (seqs.some((seq, i) => seq !== row.upto + 1 + i)) {
    throw new KithError(
      500,
      'document_gap',
      `The document of record ${record} is not whole; restore it from a backup before it is edited.`,
    );
  }
  const doc = loadDoc([row.state, ...row.updates]);
  const upto = seqs.at(-1)!;
  const state = Buffer.from(Y.encodeStateAsUpdate(doc));
  doc.destroy();
  return transaction(pool, async (client) => {
    const replaced = await client.query(
      `update kith.doc_snapshot set state = $3, upto = $4 where (record, facet) = ($1, $2) and upto = $5`,
      [record, facet.num, state, upto, row.upto],
    );
    if (replaced.rowCount === 0) return 0;
    const deleted = await client.query(`delete from kith.doc_log where (record, facet) = ($1, $2) and seq > $3 and seq <= $4`, [
      record,
      facet.num,
      row.upto,
      upto,
    ]);
    if (deleted.rowCount !== seqs.length)
      throw new Error(`compaction of ${record} read ${seqs.length} updates and found ${deleted.rowCount}`);
    return seqs.length;
  });
}

/**
 * Claims client ids for a principal. The first who writes under an id owns it.
 * @returns the ids that somebody else owns.
 */
export async function claimClients(
  client: Queryable,
  record: string,
  facet: Facet,
  generation: number,
  clients: readonly number[],
  principal: string,
): Promise<number[]> {
  const { rows } = await client.query<{ client: number; principal: string }>({
    name: 'kith_claim',
    // The empty update makes the statement answer the owner even when somebody else claims the id at this very moment.
    text: `insert into kith.doc_client as c (record, facet, generation, client, principal)
      select $1, $2, $3, id, $5 from unnest($4::bigint[]) id order by id
      on conflict (record, facet, generation, client) do update set principal = c.principal
      returning client, principal`,
    values: [record, facet.num, generation, clients, principal],
  });
  return rows.filter((row) => row.principal !== principal).map((row) => row.client);
}

/** Whether any of these client ids wrote in an older life of a document: whoever bears its edits has a copy of that. */
export async function isFromOlderLife(
  client: Queryable,
  record: string,
  facet: Facet,
  generation: number,
  clients: readonly number[],
): Promise<boolean> {
  if (generation === 0 || clients.length === 0) return false;
  const { rowCount } = await client.query({
    name: 'kith_older',
    text: 'select from kith.doc_client where record = $1 and facet = $2 and generation < $3 and client = any($4::bigint[]) limit 1',
    values: [record, facet.num, generation, clients],
  });
  return (rowCount ?? 0) > 0;
}

/** Documents of whose large texts the columns lag behind. */
export async function lagging(client: Queryable): Promise<{ object: string; record: string; facet: number }[]> {
  const { rows } = await client.query<{ object: string; record: string; facet: number }>({
    text: 'select object, record, facet from kith.doc_head where shown is not null order by record',
  });
  return rows;
}

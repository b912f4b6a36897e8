/** Search over all objects: for the palette and for pickers. */
import type { Principal } from '@kith/sdk';
import { portalOf } from '../access/grant.ts';
import { referencesFor, titleOf } from '../query/present.ts';
import type { Runtime } from '../runtime.ts';

export interface Hit {
  object: string;
  id: string;
  title: string;
  subtitle: string;
}

/** The best few of each object, those whose title begins with the words first. */
export async function searchAll(runtime: Runtime, principal: Principal, words: string, limit: number): Promise<Hit[]> {
  if (words.trim() === '') return [];
  const { outside } = principal;
  const objects = [...runtime.model.objects.values()].filter(
    (object) => object.search.length > 0 && (!outside || portalOf(object, principal)),
  );
  const each = Math.max(5, Math.ceil(limit / 2));
  const pages = await Promise.all(objects.map((object) => runtime.query.list(principal, object, { search: words, limit: each })));
  const refs = await referencesFor(
    runtime,
    principal,
    pages.flatMap((page) => page.data),
  );
  const wanted = words.trim().toLowerCase();
  const hits = pages.flatMap((page, i) => {
    const object = objects[i]!;
    return page.data.map((rec) => {
      const subtitle = object.search
        .filter((name) => !object.title.includes(name) && typeof rec.fields[name] === 'string')
        .map((name) => rec.fields[name] as string)
        .slice(0, 2)
        .join(' · ');
      return { object: object.name, id: rec.id, title: titleOf(object, rec.fields, refs), subtitle };
    });
  });
  const rank = (hit: Hit): number => (hit.title.toLowerCase().startsWith(wanted) ? 0 : hit.title.toLowerCase().includes(wanted) ? 1 : 2);
  return hits.sort((a, b) => rank(a) - rank(b)).slice(0, limit);
}

/** A wish is one line, and needs no form with fields. */
import type { ListCreate } from '@kith/ui/actions.ts';

const create: ListCreate = (app) => app.ask(() => import('./NewWish.svelte'), {});
export default create;

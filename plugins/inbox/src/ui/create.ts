/** A new message is written, not filled in field by field. */
import type { ListCreate } from '@kith/ui/actions.ts';

const create: ListCreate = (app) => app.ask(() => import('./WriteMail.svelte'), { to: [] });
export default create;

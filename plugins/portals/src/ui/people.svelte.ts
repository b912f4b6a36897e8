/** The people of a partner and what may be done with them; the same for the staff and for the partner's administrator. */
import type { App } from '@kith/ui/app.svelte.ts';
import type { PartnerInvitation, PartnerPeople, PartnerPerson } from '@kith/ui/portal.ts';

export class People {
  people = $state.raw<readonly PartnerPerson[]>([]);
  invitations = $state.raw<readonly PartnerInvitation[]>([]);
  audiences = $state.raw<readonly { key: string; label: string; of: string }[]>([]);
  loaded = $state(false);
  readonly #app: App;
  readonly #company: string | undefined;

  /** `company`: whose people the staff look at; a partner's administrator has their own. */
  constructor(app: App, company?: string) {
    this.#app = app;
    this.#company = company;
  }

  async read(): Promise<void> {
    const answer = await this.#app.api.get<PartnerPeople>('/partners', { company: this.#company });
    this.people = answer.data;
    this.invitations = answer.invitations;
    this.audiences = answer.audiences ?? [];
    this.loaded = true;
  }
  /** Also after a refusal the list is read, so that it shows what stands. */
  async change(person: PartnerPerson, what: { active?: boolean; admin?: boolean }): Promise<boolean> {
    try {
      await this.#app.api.patch(`/partners/${person.id}`, what);
      return true;
    } catch (thrown) {
      this.#app.fail(thrown);
      return false;
    } finally {
      await this.read().catch(() => undefined);
    }
  }
  async revoke(invitation: PartnerInvitation): Promise<boolean> {
    try {
      await this.#app.api.delete(`/partners/invitations/${invitation.id}`);
      return true;
    } catch (thrown) {
      this.#app.fail(thrown);
      return false;
    } finally {
      await this.read().catch(() => undefined);
    }
  }
}

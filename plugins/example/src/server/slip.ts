/** The paper that goes with what is handed out. */
import type { Context, RecordFields } from '@kith/sdk';
import type { example } from '../plugin.ts';

type Loan = RecordFields<(typeof example)['objects']['loan']['fields']>;

// #region files
/** Keeps the slip of a loan, and answers its id. */
export async function keepSlip(loan: Loan, equipment: string, ctx: Context<typeof example>): Promise<string> {
  const { fields: borrower } = await ctx.asPlugin.get('contacts.company', loan.borrower!);
  const text = `${loan.number}\n${equipment}\nfor ${borrower.name}\nfrom ${loan.from} until ${loan.due}\n\nReceived:\n\n`;
  const { id } = await ctx.files.keep({
    name: `${loan.number}.txt`,
    type: 'text/plain; charset=utf-8',
    data: new TextEncoder().encode(text),
  });
  return id;
}
// #endregion

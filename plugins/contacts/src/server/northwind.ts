/** The Northwind demo's share of contacts: its staff, its customers, suppliers and carriers, and whom one talks to there. */
import type { Demo, DemoPerson } from '@kith/sdk';
import type { contacts } from '../plugin.ts';

const DOMAIN = 'northwind.example';
/** Employees who lead; the others are members. */
const MANAGERS = new Set(['Andrew', 'Steven']);
/** Words with which a family name may begin. */
const PARTICLES = new Set(['de', 'del', 'von', 'van']);

type Row = Readonly<Record<string, string>>;

const loginOf = (employee: Row): string => `${employee.firstName!.toLowerCase()}@${DOMAIN}`;

export const northwind: Demo<typeof contacts> = {
  folder: new URL('../../demo/northwind/', import.meta.url),

  async staff({ table }) {
    const employees = await table('employees.csv');
    return [
      ...employees.map((one): DemoPerson => ({
        email: loginOf(one),
        name: `${one.firstName} ${one.lastName}`,
        role: MANAGERS.has(one.firstName!) ? 'manager' : 'member',
      })),
      { email: `admin@${DOMAIN}`, name: 'Northwind Admin', role: 'admin' },
    ];
  },

  async load({ records, table, staff, share }) {
    const [employees, customers, suppliers, carriers] = await Promise.all(
      ['employees.csv', 'customers.csv', 'suppliers.csv', 'shippers.csv'].map(table),
    );
    const logins = new Map(employees!.map((one) => [one.employeeID!, loginOf(one)]));
    const ownerOf = (row: Row): string | null => staff.get(logins.get(row.employeeID ?? '') ?? '') ?? null;
    const kinds = [
      { kind: 'customer', key: 'customerID', rows: customers! },
      { kind: 'supplier', key: 'supplierID', rows: suppliers! },
      { kind: 'carrier', key: 'shipperID', rows: carriers! },
    ] as const;
    for (const { kind, key, rows } of kinds) {
      const ids = await records.createMany(
        'contacts.company',
        rows.map((row) => ({
          name: row.companyName!,
          externalId: row[key]!,
          kind: [kind],
          owner: ownerOf(row),
          address: row.address || null,
          city: row.city || null,
          region: row.region || null,
          postalCode: row.postalCode || null,
          country: row.country || null,
          phone: row.phone || null,
          website: `https://www.${siteOf(row.companyName!)}`,
        })),
      );
      share.set(kind, new Map(rows.map((row, i) => [row[key]!, ids[i]!])));
      const known = rows.flatMap((row, i) => (row.contactName ? [{ row, company: ids[i]! }] : []));
      const people = await records.createMany(
        'contacts.person',
        known.map(({ row, company }) => {
          const { firstName, lastName } = nameOf(row.contactName!);
          return {
            firstName,
            lastName,
            title: row.contactTitle || null,
            company,
            owner: ownerOf(row),
            email: `${plain(firstName)}.${plain(lastName)}@${siteOf(row.companyName!)}`,
            phone: row.phone || null,
          };
        }),
      );
      share.set(`${kind}Person`, new Map(known.map(({ row }, i) => [row[key]!, people[i]!])));
    }
    // For the plugins that follow: who an employee is, what a customer is called, and who is responsible for it.
    share.set('employee', logins);
    share.set('customerName', new Map(customers!.map((row) => [row.customerID!, row.companyName!])));
    share.set('customerOwner', new Map(customers!.map((row) => [row.customerID!, logins.get(row.employeeID!)!])));
  },
};

/** Letters without their marks, in lower case, and hyphens for all between them. */
const plain = (text: string): string =>
  text
    .normalize('NFD')
    .replace(/\p{Mark}/gu, '')
    .replaceAll('ß', 'ss')
    .replaceAll('ø', 'o')
    .toLowerCase()
    .replace(/['’]/g, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');

/** An invented address, under the domain that belongs to nobody. */
const siteOf = (company: string): string => `${plain(company)}.example`;

function nameOf(full: string): { firstName: string; lastName: string } {
  const words = full.split(' ');
  const particle = words.findIndex((word) => PARTICLES.has(word));
  const begin = particle > 0 ? particle : words.length - 1;
  return { firstName: words.slice(0, begin).join(' '), lastName: words.slice(begin).join(' ') };
}

/**
 * The Northwind demo's share of sales: products and orders as they are in the
 * data set, and what it lacks for a sales team's day: deals, tasks, calls and
 * meetings, all derived from what the customers really ordered.
 */
import type { Context, Demo, DemoTools, FieldsOf, ObjectsOf } from '@kith/sdk';
import type { sales } from '../plugin.ts';

type Row = Readonly<Record<string, string>>;
type Objects = ObjectsOf<typeof sales>;
type Fields<O extends keyof Objects> = Partial<FieldsOf<Objects[O]>>;
type Tools = Context<typeof sales> & DemoTools & { as: (email: string) => Context<typeof sales> };

const DAY_MS = 86_400_000;
const CURRENCY = 'USD';
const usd = (amount: string): { amount: string; currency: string } => ({ amount, currency: CURRENCY });

export const northwind: Demo<typeof sales> = {
  folder: new URL('../../demo/northwind/', import.meta.url),

  async load(tools) {
    const { table, records, share, staff, moved } = tools;
    const [categories, products, orders, lines] = (await Promise.all(
      ['categories.csv', 'products.csv', 'orders.csv', 'order_details.csv'].map(table),
    )) as [Row[], Row[], Row[], Row[]];
    const last = orders.reduce((latest, order) => (order.orderDate! > latest ? order.orderDate! : latest), '');
    const day = (value: string | undefined): string | null => (value ? moved(value, last) : null);
    const categoryNames = new Map(categories.map((row) => [row.categoryID!, row.categoryName!]));
    const userOf = (employeeID: string): string => found(staff, found(share.get('employee')!, employeeID));

    const productIds = await records.createMany(
      'sales.product',
      products.map((row) => ({
        name: row.productName!,
        externalId: row.productID!,
        category: found(categoryNames, row.categoryID!),
        supplier: found(share.get('supplier')!, row.supplierID!),
        price: usd(row.unitPrice!),
        unit: row.quantityPerUnit || null,
        unitsInStock: Number(row.unitsInStock),
        discontinued: row.discontinued === '1',
      })),
    );
    share.set('product', new Map(products.map((row, i) => [row.productID!, productIds[i]!])));

    const orderIds = await records.createMany(
      'sales.order',
      orders.map((row) => ({
        number: row.orderID!,
        externalId: row.orderID!,
        company: found(share.get('customer')!, row.customerID!),
        owner: userOf(row.employeeID!),
        orderDate: day(row.orderDate),
        requiredDate: day(row.requiredDate),
        shippedDate: day(row.shippedDate),
        freight: usd(row.freight!),
        shipName: row.shipName || null,
        shipTo: shipTo(row),
      })),
    );
    share.set('order', new Map(orders.map((row, i) => [row.orderID!, orderIds[i]!])));
    share.set('orderCarrier', new Map(orders.map((row) => [row.orderID!, row.shipVia!])));

    const lineIds = await records.createMany(
      'sales.orderLine',
      lines.map((row) => ({
        order: found(share.get('order')!, row.orderID!),
        product: found(share.get('product')!, row.productID!),
        quantity: Number(row.quantity),
        unitPrice: usd(row.unitPrice!),
        discount: Number(row.discount),
      })),
    );
    share.set('orderLine', new Map(lines.map((row, i) => [`${row.orderID} ${row.productID}`, lineIds[i]!])));

    const customers = customersOf(orders, lines, products, categoryNames, share.get('customerName')!, last);
    const deals = await loadDeals(tools, customers, last);
    await loadActivities(tools, customers, last);
    await loadTasks(tools, deals, orders, last);
  },
};

function shipTo(row: Row): Fields<'sales.order'>['shipTo'] {
  const parts = {
    street: row.shipAddress,
    city: row.shipCity,
    region: row.shipRegion,
    postalCode: row.shipPostalCode,
    country: row.shipCountry,
  };
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value));
}

function found<V>(map: ReadonlyMap<string, V>, key: string): V {
  const value = map.get(key);
  if (value === undefined) throw new Error(`the Northwind data set refers to "${key}", which it does not have`);
  return value;
}

/** What a customer ordered, and mostly in the last twelve months. */
interface Customer {
  id: string;
  name: string;
  /** Its orders, the latest first. */
  orders: Row[];
  /** Net sales of the last twelve months, in whole dollars, in all and by category, the largest first. */
  year: number;
  yearOrders: number;
  categories: { name: string; net: number }[];
  /** The product of an order that cost most. */
  mainProduct: Map<string, string>;
}

/** Customers by their sales of the last twelve months, the largest first. */
function customersOf(
  orders: readonly Row[],
  lines: readonly Row[],
  products: readonly Row[],
  categoryNames: ReadonlyMap<string, string>,
  names: ReadonlyMap<string, string>,
  last: string,
): Customer[] {
  const since = `${Number(last.slice(0, 4)) - 1}${last.slice(4)}`;
  const byProduct = new Map(products.map((row) => [row.productID!, row]));
  const linesOf = Map.groupBy(lines, (line) => line.orderID!);
  const customers = [...Map.groupBy(orders, (order) => order.customerID!)].map(([id, own]): Customer => {
    const sorted = own.toSorted((a, b) => (a.orderDate! < b.orderDate! ? 1 : a.orderDate! > b.orderDate! ? -1 : 0));
    const categories = new Map<string, number>();
    const mainProduct = new Map<string, string>();
    for (const order of sorted) {
      let most = -1;
      for (const line of linesOf.get(order.orderID!) ?? []) {
        const product = byProduct.get(line.productID!)!;
        const net = Number(line.unitPrice) * Number(line.quantity) * (1 - Number(line.discount));
        if (net > most) {
          most = net;
          mainProduct.set(order.orderID!, product.productName!);
        }
        if (order.orderDate! <= since) continue;
        const category = found(categoryNames, product.categoryID!);
        categories.set(category, (categories.get(category) ?? 0) + net);
      }
    }
    const ranked = [...categories].map(([name, net]) => ({ name, net: Math.round(net) })).sort((a, b) => b.net - a.net);
    return {
      id,
      name: found(names, id),
      orders: sorted,
      year: ranked.reduce((sum, { net }) => sum + net, 0),
      yearOrders: sorted.filter((order) => order.orderDate! > since).length,
      categories: ranked,
      mainProduct,
    };
  });
  return customers.sort((a, b) => b.year - a.year || (a.id < b.id ? -1 : 1));
}

/** `Meat/Poultry` as it is written within a sentence. */
const inWords = (category: string): string => category.toLowerCase().replace('/', ' and ');
const dollars = (amount: number): string => `${amount.toLocaleString('en-US')} USD`;
const plusDays = (day: string, days: number): string => new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
/** The day itself, or the Friday before a weekend. */
function workday(day: string): string {
  const weekday = new Date(`${day}T00:00:00Z`).getUTCDay();
  return weekday === 6 ? plusDays(day, -1) : weekday === 0 ? plusDays(day, -2) : day;
}
/** A day as it is written within a sentence: `6 May`. */
const spoken = (day: string): string =>
  new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long', timeZone: 'UTC' }).format(new Date(`${day}T00:00:00Z`));

type Stage = 'lead' | 'qualified' | 'proposal' | 'negotiation' | 'won' | 'lost';

/** One deal for each of the largest customers. What it is about and where it stands goes by the customer's rank. */
const DEAL_STAGES: readonly Stage[] = [
  ...(['negotiation', 'won', 'proposal', 'qualified', 'negotiation', 'lead', 'proposal', 'won', 'qualified'] as const),
  ...(['lost', 'proposal', 'negotiation', 'lead', 'won', 'proposal', 'qualified', 'lost', 'lead', 'won'] as const),
  ...(['proposal', 'negotiation', 'qualified', 'lead', 'lost', 'won', 'lead'] as const),
];
const SUBJECTS: readonly ((category: string) => string)[] = [
  (category) => `annual agreement, ${category}`,
  (category) => `weekly delivery, ${category}`,
  (category) => `larger range of ${category}`,
  (category) => `second branch, ${category}`,
  (category) => `framework order, ${category}`,
  (category) => `price list for ${category}`,
];
/** Days from today until a deal is expected to close, or since it did. */
const CLOSES_IN: Readonly<Record<Stage, readonly [number, number]>> = {
  lead: [45, 120],
  qualified: [30, 80],
  proposal: [10, 45],
  negotiation: [2, 20],
  won: [-60, -3],
  lost: [-50, -5],
};
const LOST_REASONS = ['Price', 'Chose another supplier', 'No budget this year'];
const NEXT_STEPS: Readonly<Record<Stage, string>> = {
  lead: 'Find out who decides, and by when.',
  qualified: 'Send samples and agree on a date for a tasting.',
  proposal: 'Walk through the proposal with purchasing.',
  negotiation: 'Settle the discount above 1,000 units and the payment terms.',
  won: 'Set up the standing order.',
  lost: 'Ask again in half a year.',
};

interface LoadedDeal {
  id: string;
  name: string;
  stage: Stage;
  owner: string;
  customer: Customer;
}

async function loadDeals({ as, records, share, today }: Tools, customers: readonly Customer[], last: string): Promise<LoadedDeal[]> {
  const pipeline = await records.create('sales.pipeline', {
    name: 'Customers',
    description: 'Agreements and larger orders with the customers that we know.',
  });
  const planned = DEAL_STAGES.map((stage, i) => {
    const customer = customers[i]!;
    const category = customer.categories[i % 3 === 2 ? 1 : 0] ?? customer.categories[0]!;
    const [low, high] = CLOSES_IN[stage];
    // A third of a year's sales of the category, and what a larger order would bring.
    const amount = Math.max(500, Math.round((category.net * (3 + (i % 4))) / 9 / 50) * 50);
    return { stage, customer, category, amount, closes: low + ((i * 37) % (high - low + 1)), i };
  });
  const deals: LoadedDeal[] = [];
  for (const [owner, own] of Map.groupBy(planned, ({ customer }) => found(share.get('customerOwner')!, customer.id))) {
    const rows = own.map(({ stage, customer, category, amount, closes, i }): Fields<'sales.deal'> & { name: string } => ({
      name: `${customer.name}: ${SUBJECTS[i % SUBJECTS.length]!(inWords(category.name))}`,
      company: found(share.get('customer')!, customer.id),
      person: found(share.get('customerPerson')!, customer.id),
      pipeline: pipeline.id,
      stage,
      amount: usd(`${amount}.00`),
      closeDate: workday(plusDays(today(last), closes)),
      lostReason: stage === 'lost' ? LOST_REASONS[i % LOST_REASONS.length]! : null,
      summary: `Bought ${inWords(category.name)} for ${dollars(category.net)} in the last twelve months, and ${dollars(customer.year)} in all, in ${customer.yearOrders} orders.`,
      notes: `**Next:** ${NEXT_STEPS[stage]}`,
    }));
    const ids = await as(owner).records.createMany('sales.deal', rows);
    deals.push(...own.map(({ stage, customer }, at) => ({ id: ids[at]!, name: rows[at]!.name, stage, owner, customer })));
  }
  return deals;
}

/** How many of the largest customers have a past that was written down. */
const TOLD_CUSTOMERS = 24;
const REMARKS = [
  'Prefers to be called before ten.',
  'Pays within ten days and expects the two per cent for it.',
  'Takes deliveries at the back entrance, weekdays until noon.',
  'Wants the order number on every pallet.',
  'Plans the range twice a year, in March and in September.',
  'Reads e-mails on Mondays; for anything urgent, telephone.',
];

async function loadActivities({ as, share, moved, today }: Tools, customers: readonly Customer[], last: string): Promise<void> {
  const yesterday = plusDays(today(last), -1);
  /** A moment in office hours, never ahead of now. */
  const at = (day: string, i: number): string =>
    `${day < yesterday ? day : yesterday}T${14 + (i % 8)}:${String((i * 17) % 60).padStart(2, '0')}:00Z`;
  const byOwner = new Map<string, Fields<'contacts.activity'>[]>();
  for (const [i, customer] of customers.slice(0, TOLD_CUSTOMERS).entries()) {
    const owner = found(share.get('customerOwner')!, customer.id);
    const rows = byOwner.get(owner) ?? [];
    byOwner.set(owner, rows);
    const about = { object: 'contacts.company', id: found(share.get('customer')!, customer.id) };
    const person = found(share.get('customerPerson')!, customer.id);
    for (const [n, order] of customer.orders.slice(0, 3).entries()) {
      rows.push({
        kind: 'call',
        direction: 'in',
        at: at(moved(order.orderDate!, last), i + n),
        subject: `Order ${order.orderID} by telephone`,
        minutes: 5 + ((i + n * 3) % 12),
        body: `Ordered, mostly ${customer.mainProduct.get(order.orderID!)!}. Wanted by ${spoken(moved(order.requiredDate!, last))}.`,
        about,
        person,
      });
    }
    const late = customer.orders.find((order) => order.shippedDate && order.shippedDate > order.requiredDate!);
    if (late) {
      rows.push({
        kind: 'email',
        direction: 'in',
        at: at(plusDays(moved(late.requiredDate!, last), 1), i),
        subject: `Where is order ${late.orderID}?`,
        body: `We were promised order ${late.orderID} for ${spoken(moved(late.requiredDate!, last))} and it has not come. Please call back.`,
        about,
        person,
      });
    }
    rows.push(
      {
        kind: 'meeting',
        at: at(workday(plusDays(today(last), -10 - ((i * 7) % 40))), i),
        subject: `Review of the year with ${customer.name}`,
        minutes: 45,
        body: `${customer.yearOrders} orders in twelve months for ${dollars(customer.year)}, mostly ${customer.categories
          .slice(0, 2)
          .map(({ name }) => inWords(name))
          .join(' and ')}. They want to know prices for the next season early.`,
        about,
        person,
      },
      {
        kind: 'note',
        at: at(workday(plusDays(today(last), -2 - ((i * 5) % 25))), i + 3),
        subject: 'Good to know',
        body: REMARKS[i % REMARKS.length]!,
        about,
        person,
      },
    );
  }
  for (const [owner, rows] of byOwner) await as(owner).records.createMany('contacts.activity', rows);
}

const TASKS: Readonly<Record<Stage, (customer: string) => string>> = {
  lead: (customer) => `Ask ${customer} what they need for next season`,
  qualified: (customer) => `Send samples to ${customer}`,
  proposal: (customer) => `Call ${customer} about the proposal`,
  negotiation: (customer) => `Agree on terms with ${customer}`,
  won: (customer) => `Send the signed agreement to ${customer}`,
  lost: (customer) => `Ask ${customer} why they decided otherwise`,
};
/** How many orders wait for a word to their customer. */
const ORDERS_TO_ANSWER = 12;

async function loadTasks(
  { as, share, staff, today }: Tools,
  deals: readonly LoadedDeal[],
  orders: readonly Row[],
  last: string,
): Promise<void> {
  const byOwner = new Map<string, Fields<'contacts.task'>[]>();
  const give = (owner: string, task: Fields<'contacts.task'>): void => {
    const rows = byOwner.get(owner) ?? [];
    byOwner.set(owner, rows);
    rows.push({ ...task, owner: found(staff, owner) });
  };
  for (const [i, deal] of deals.entries()) {
    const over = deal.stage === 'won' || deal.stage === 'lost';
    give(deal.owner, {
      title: TASKS[deal.stage](deal.customer.name),
      status: over ? 'done' : 'open',
      priority: deal.stage === 'negotiation' ? 'high' : deal.stage === 'lead' ? 'low' : 'normal',
      due: workday(plusDays(today(last), over ? -4 - (i % 20) : ((i * 5) % 11) - 2)),
      about: { object: 'sales.deal', id: deal.id },
    });
  }
  const names = share.get('customerName')!;
  const waiting = orders
    .filter((order) => !order.shippedDate)
    .sort((a, b) =>
      a.requiredDate! < b.requiredDate! ? -1 : a.requiredDate! > b.requiredDate! ? 1 : Number(a.orderID) - Number(b.orderID),
    );
  for (const [i, order] of waiting.slice(0, ORDERS_TO_ANSWER).entries()) {
    give(found(share.get('employee')!, order.employeeID!), {
      title: `Tell ${found(names, order.customerID!)} when order ${order.orderID} ships`,
      priority: i < 3 ? 'high' : 'normal',
      due: workday(plusDays(today(last), (i % 6) - 1)),
      about: { object: 'sales.order', id: found(share.get('order')!, order.orderID!) },
    });
  }
  for (const [owner, tasks] of byOwner) await as(owner).records.createMany('contacts.task', tasks);
}

/**
 * The Northwind demo's share of suppliers: each order's lines, grouped by the
 * product's supplier, are one purchase order (drop shipment). All follows from
 * the orders that sales has loaded.
 */
import type { Demo, FieldsOf, Money, ObjectsOf, Rec, RecordsDoor } from '@kith/sdk';
import Big from 'big.js';
import type { suppliers } from '../plugin.ts';
import { figuresOf, rounded, type Line } from './terms.ts';

type Objects = ObjectsOf<typeof suppliers>;
type Door = RecordsDoor<Objects>;
type OrderLine = Rec<FieldsOf<Objects['sales.orderLine']>>;
type NewLine = Pick<
  Line,
  'product' | 'orderLine' | 'orderedQuantity' | 'unitCost' | 'internalCost' | 'confirmedQuantity' | 'confirmedDate' | 'status'
>;

/** What a supplier gets of the line's unit price. */
const COST_SHARE = '0.7';
const PAGE = 500;
/** The two suppliers who have a login, by Northwind's key. */
const LOGINS = [
  { supplier: '1', email: 'exotic@partners.example' },
  { supplier: '4', email: 'tokyo@partners.example' },
];

export const northwind: Demo<typeof suppliers> = {
  folder: new URL('../../demo/northwind/', import.meta.url),

  async load({ records, share, partner }) {
    const [orders, orderLines, products] = [
      await all(records, 'sales.order'),
      await all(records, 'sales.orderLine'),
      await all(records, 'sales.product'),
    ];
    const keys = new Map([...share.get('supplier')!].map(([key, id]) => [id, Number(key)]));
    const supplierOf = new Map(products.map(({ id, fields }) => [id, fields.supplier!]));
    const linesOf = Map.groupBy(orderLines, (line) => line.fields.order!);
    const planned = orders
      .toSorted((a, b) => Number(a.fields.externalId) - Number(b.fields.externalId))
      .flatMap(({ id, fields: order }) => {
        const lines = linesOf.get(id) ?? [];
        const freight = freightOf(lines, order.freight);
        const bySupplier = [...Map.groupBy(lines, (line) => supplierOf.get(line.fields.product!)!)];
        return bySupplier
          .sort(([a], [b]) => keys.get(a)! - keys.get(b)!)
          .map(([supplier, own], n) => {
            const shipped = order.shippedDate;
            // Confirmed for the day on which it left, or for the last one that would have done.
            const day =
              shipped === null ? null : order.requiredDate !== null && order.requiredDate < shipped ? order.requiredDate : shipped;
            const rows = own.map((line) => newLine(line, freight.get(line.id)!, day));
            const counted = rows.map((row, i) => ({ ...row, daysLate: null, netSales: own[i]!.fields.total }));
            return {
              order: {
                number: `${order.number}-${n + 1}`,
                order: id,
                supplier,
                owner: order.owner,
                ...figuresOf(shipped === null ? 'open' : 'closed', counted),
                shippedAt: shipped === null ? null : `${shipped}T12:00:00.000Z`,
              },
              rows,
            };
          });
      });
    const ids = await records.createMany(
      'suppliers.purchaseOrder',
      planned.map(({ order }) => order),
    );
    await records.createMany(
      'suppliers.purchaseOrderLine',
      planned.flatMap(({ rows }, i) => rows.map((row) => ({ ...row, purchaseOrder: ids[i]! }))),
    );
    share.set('purchaseOrder', new Map(planned.map(({ order }, i) => [order.number, ids[i]!])));

    for (const { supplier, email } of LOGINS) {
      const { fields: person } = await records.get('contacts.person', share.get('supplierPerson')!.get(supplier)!);
      const name = [person.firstName, person.lastName].filter(Boolean).join(' ');
      await partner({ email, name, audience: 'supplier', company: share.get('supplier')!.get(supplier)!, admin: true });
    }
  },
};

function newLine({ id, fields }: OrderLine, freight: Big, day: string | null): NewLine {
  const cost = new Big(fields.unitPrice!.amount).times(COST_SHARE);
  const { currency } = fields.unitPrice!;
  return {
    product: fields.product,
    orderLine: id,
    orderedQuantity: fields.quantity,
    unitCost: { amount: rounded(cost), currency },
    internalCost: { amount: rounded(cost.plus(freight)), currency },
    confirmedQuantity: day === null ? null : fields.quantity,
    confirmedDate: day,
    status: day === null ? 'open' : 'confirmed',
  };
}

/** An order's freight shared among its lines by their net value, per piece. */
function freightOf(lines: readonly OrderLine[], freight: Money | null): Map<string, Big> {
  const net = lines.reduce((sum, { fields }) => sum.plus(fields.total!.amount), new Big(0));
  return new Map(
    lines.map(({ id, fields }) => {
      const divisor = net.times(fields.quantity!);
      const share = divisor.eq(0) ? new Big(0) : new Big(freight?.amount ?? 0).times(fields.total!.amount).div(divisor);
      return [id, share];
    }),
  );
}

/** All records of an object. */
async function all<O extends keyof Objects & string>(records: Door, object: O): Promise<Rec<FieldsOf<Objects[O]>>[]> {
  const found: Rec<FieldsOf<Objects[O]>>[] = [];
  for (let last: string | undefined; ;) {
    const page: { data: Rec<FieldsOf<Objects[O]>>[]; nextCursor: string | null } = await records.query(object, {
      sort: ['createdAt'],
      limit: PAGE,
      ...(last === undefined ? {} : { cursor: last }),
    });
    found.push(...page.data);
    if (page.nextCursor === null) return found;
    last = page.nextCursor;
  }
}

/** The browser half of suppliers. What purchase orders look like to the staff and to suppliers, where the generic screens do not suffice. */
import { defineClient } from '@kith/sdk';
import { suppliers } from './plugin.ts';

export const client = defineClient(suppliers, {
  'portal.record': [
    { id: 'order', object: 'suppliers.purchaseOrder', load: () => import('./ui/PortalOrder.svelte') },
    { id: 'line', object: 'suppliers.purchaseOrderLine', load: () => import('./ui/PortalLine.svelte') },
  ],
  'record.tab': [
    {
      id: 'lines',
      title: 'object.purchaseOrderLine.many',
      object: 'suppliers.purchaseOrder',
      insteadOf: 'suppliers.purchaseOrderLine.purchaseOrder',
      first: true,
      load: () => import('./ui/StaffLines.svelte'),
    },
  ],
  'record.panel': [
    {
      id: 'orders',
      title: 'object.purchaseOrder.many',
      object: 'sales.order',
      insteadOf: 'suppliers.purchaseOrder.order',
      load: () => import('./ui/StaffOrders.svelte'),
    },
  ],
  'field.value': [
    { id: 'late-lines', object: 'suppliers.purchaseOrder', field: 'lateLines', load: () => import('./ui/LateLines.svelte') },
    { id: 'open-lines', object: 'suppliers.purchaseOrder', field: 'openLines', load: () => import('./ui/OpenLines.svelte') },
    { id: 'proposals', object: 'suppliers.purchaseOrder', field: 'proposals', load: () => import('./ui/Proposals.svelte') },
    { id: 'order-required', object: 'suppliers.purchaseOrder', field: 'requiredDate', load: () => import('./ui/RequiredDate.svelte') },
    { id: 'line-required', object: 'suppliers.purchaseOrderLine', field: 'requiredDate', load: () => import('./ui/RequiredDate.svelte') },
    { id: 'days-late', object: 'suppliers.purchaseOrderLine', field: 'daysLate', load: () => import('./ui/DaysLate.svelte') },
  ],
  'home.widget': [{ id: 'answers', load: () => import('./ui/Work.svelte') }],
});

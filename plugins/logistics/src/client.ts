/** The browser half of logistics. What shipments look like to the staff, to carriers and to whoever waits for one. */
import { defineClient } from '@kith/sdk';
import { logistics } from './plugin.ts';

export const client = defineClient(logistics, {
  'portal.record': [{ id: 'shipment', object: 'logistics.shipment', load: () => import('./ui/PortalShipment.svelte') }],
  'record.tab': [
    {
      id: 'milestones',
      title: 'object.milestone.many',
      object: 'logistics.shipment',
      insteadOf: 'logistics.milestone.shipment',
      first: true,
      load: () => import('./ui/StaffMilestones.svelte'),
    },
  ],
  'record.panel': [
    {
      id: 'shipments',
      title: 'object.shipment.many',
      object: 'sales.order',
      insteadOf: 'logistics.shipment.order',
      load: () => import('./ui/StaffShipments.svelte'),
    },
    { id: 'links', title: 'panel.links', object: 'logistics.shipment', load: () => import('./ui/GuestLinks.svelte') },
  ],
  'field.value': [
    { id: 'days-late', object: 'logistics.shipment', field: 'daysLate', load: () => import('./ui/DaysLate.svelte') },
    { id: 'estimate', object: 'logistics.shipment', field: 'estimatedArrival', load: () => import('./ui/EstimatedArrival.svelte') },
  ],
});

/** The browser half of automation: the builder, what runs did, and buttons on the records that workflows are for. */
import { defineClient } from '@kith/sdk';
import { automation } from './plugin.ts';

export const client = defineClient(automation, {
  'record.tab': [
    {
      id: 'steps',
      title: 'field.workflow.definition',
      object: 'automation.workflow',
      first: true,
      load: () => import('./ui/Builder.svelte'),
    },
    {
      id: 'runs',
      title: 'object.run.many',
      object: 'automation.workflow',
      insteadOf: 'automation.run.workflow',
      load: () => import('./ui/Runs.svelte'),
    },
    {
      id: 'run-steps',
      title: 'field.workflow.definition',
      object: 'automation.run',
      first: true,
      load: () => import('./ui/RunSteps.svelte'),
    },
  ],
  'record.action': [{ id: 'buttons', load: () => import('./ui/buttons.ts') }],
});

/**
 * `npm run bench [-- names] [-- --quick]`: the figures, beside the goals. Each
 * part is a process of its own, so that none warms or burdens another.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../../..');

const PARTS: Readonly<Record<string, { file: string; about: string }>> = {
  rest: { file: 'packages/cli/bench/rest.ts', about: 'REST over 15,000 companies, one client' },
  buffers: { file: 'packages/cli/bench/buffers.ts', about: 'What lists and searches read of 100,000 and 1,000,000 companies' },
  partners: {
    file: 'packages/cli/bench/partners.ts',
    about: 'What a supplier’s lists and searches read of 1,000,000 purchase order lines',
  },
  scores: {
    file: 'packages/cli/bench/scores.ts',
    about: 'Revenue after 10,000 changes at 1,000,000 order lines (KITH_LONG=1: at 10,000,000 too)',
  },
  automation: { file: 'packages/cli/bench/automation.ts', about: 'Events to finished steps of workflows, beside BullMQ alone' },
  collab: { file: 'packages/collab/bench/run.ts', about: 'Co-editing, beside Hocuspocus, y-websocket and a bare relay' },
};

const HELP = `npm run bench [-- PART …] [-- --quick]

${Object.entries(PARTS)
  .map(([name, { about }]) => `  ${name.padEnd(10)}${about}`)
  .join('\n')}
  --quick   small sizes, in a minute or two`;

function run(file: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path.join(root, file), ...args], { cwd: root, stdio: 'inherit' });
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function main(args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => !arg.startsWith('-'));
  const unknown = [
    ...names.filter((name) => !(name in PARTS)),
    ...args.filter((arg) => arg.startsWith('-') && arg !== '--quick' && arg !== '--help'),
  ];
  if (args.includes('--help') || unknown.length > 0) {
    console.error(unknown.length > 0 ? `bench: there is no “${unknown[0]}”\n\n${HELP}` : HELP);
    return unknown.length > 0 ? 2 : 0;
  }
  let failed = 0;
  for (const [name, { file, about }] of Object.entries(PARTS)) {
    if (names.length > 0 && !names.includes(name)) continue;
    console.log(`\n== ${about}`);
    failed += (await run(file, args.includes('--quick') ? ['--quick'] : [])) === 0 ? 0 : 1;
  }
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
// Started by npm's launcher, it has a channel to it that would keep it alive.
process.disconnect?.();

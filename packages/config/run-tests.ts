/**
 * `npm test`: every check and every test in its short form, readable, and a
 * last line that counts them: `N passed, N failed`. With arguments it runs only
 * the unit tests that they name.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');
const reports = path.join(root, '.cache/test');
const bin = path.join(root, 'node_modules/.bin');

interface Count {
  passed: number;
  failed: number;
}

interface Step {
  name: string;
  run: () => Promise<Count>;
}

const turbo = ['run', 'check', '--output-logs=errors-only', '--continue', '--concurrency=2'];

/** What looks at the sources; each list in its order, both at once, since a linter uses one core alone. */
const checks: readonly Step[][] = [
  [
    { name: 'format', run: () => check('prettier', ['--check', '--log-level=warn', '.']) },
    { name: 'lint and boundaries', run: lint },
    {
      name: 'plugin list',
      run: () => check(process.execPath, ['packages/installed/generate.ts', '--check']),
    },
  ],
  [
    {
      name: 'types',
      run: () => check('turbo', [...turbo, '--filter=!@kith/web', '--filter=!@kith/ui']),
    },
    {
      name: 'types of screens (svelte-check)',
      run: () => check('turbo', [...turbo, '--filter=@kith/web', '--filter=@kith/ui']),
    },
  ],
];
/** What runs, one after the other: it needs the machine for itself. */
const tests: readonly Step[] = [
  { name: 'unit and integration tests', run: () => vitest([]) },
  { name: 'browser tests', run: playwright },
];

/** Runs a tool with its output shown; answers its exit code. */
function tool(command: string, args: readonly string[], env: Record<string, string> = {}): Promise<number> {
  const program = path.isAbsolute(command) ? command : path.join(bin, command);
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: root,
      env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', FORCE_COLOR: '0', NO_COLOR: '1', ...env },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.once('error', (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function check(command: string, args: readonly string[]): Promise<Count> {
  return (await tool(command, args)) === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

interface LintResult {
  filePath: string;
  messages: { ruleId: string | null; line?: number; message: string; severity: number }[];
}

/** One run of ESLint, counted as two checks: the rules, and who imports whom. */
async function lint(): Promise<Count> {
  const report = path.join(reports, 'eslint.json');
  const code = await tool('eslint', ['-c', 'packages/config/eslint.config.mjs', '--format', 'json', '-o', report, '--max-warnings=0', '.']);
  const results = readJson<LintResult[]>(report) ?? [];
  const problems = results.flatMap((file) => file.messages.map((message) => ({ ...message, file: path.relative(root, file.filePath) })));
  for (const { file, line, message, ruleId } of problems) console.log(`${file}:${line ?? 0}  ${message}  (${ruleId ?? 'syntax'})`);
  const crossed = problems.some(({ ruleId }) => ruleId === 'kith/boundaries');
  const other = problems.some(({ ruleId }) => ruleId !== 'kith/boundaries') || (code !== 0 && problems.length === 0);
  const failed = Number(crossed) + Number(other);
  return { passed: 2 - failed, failed };
}

async function vitest(args: readonly string[]): Promise<Count> {
  const report = path.join(reports, 'vitest.json');
  const code = await tool(
    'vitest',
    ['run', '-c', 'packages/config/vitest.config.ts', '--reporter=dot', '--reporter=json', `--outputFile.json=${report}`, ...args],
    { CI: '1' },
  );
  const result = readJson<{
    numPassedTests: number;
    numFailedTests: number;
    numFailedTestSuites: number;
  }>(report);
  return counted(code, result && { passed: result.numPassedTests, failed: result.numFailedTests });
}

async function playwright(): Promise<Count> {
  const report = path.join(reports, 'playwright.json');
  const code = await tool(
    'playwright',
    ['test', '-c', 'packages/config/playwright.config.ts', '--pass-with-no-tests', '--reporter=list,json'],
    {
      PLAYWRIGHT_JSON_OUTPUT_FILE: report,
      CI: '1',
    },
  );
  const stats = readJson<{ stats: { expected: number; unexpected: number; flaky: number } }>(report)?.stats;
  return counted(code, stats && { passed: stats.expected, failed: stats.unexpected + stats.flaky });
}

/** A tool that failed without a failed test (a file that does not load, a crash) counts as one failure. */
function counted(code: number, count: Count | undefined): Count {
  if (!count) return { passed: 0, failed: 1 };
  return code !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count;
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

async function main(args: readonly string[]): Promise<void> {
  fs.rmSync(reports, { recursive: true, force: true });
  fs.mkdirSync(reports, { recursive: true });
  const total: Count = { passed: 0, failed: 0 };
  const summary = new Map<Step, string>();
  const through = async (steps: readonly Step[]): Promise<void> => {
    for (const step of steps) {
      console.log(`\n== ${step.name}`);
      const began = Date.now();
      const { passed, failed } = await step.run();
      total.passed += passed;
      total.failed += failed;
      const seconds = ((Date.now() - began) / 1000).toFixed(1);
      summary.set(step, `${failed === 0 ? 'ok    ' : 'FAILED'}  ${step.name}: ${passed} passed, ${failed} failed (${seconds} s)`);
    }
  };
  if (args.length > 0) await through([{ name: 'unit and integration tests', run: () => vitest(args) }]);
  else {
    await Promise.all(checks.map(through));
    await through(tests);
  }
  console.log(`\n${[...summary.values()].join('\n')}\n`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  process.exitCode = total.failed === 0 ? 0 : 1;
}

await main(process.argv.slice(2));
process.disconnect?.();

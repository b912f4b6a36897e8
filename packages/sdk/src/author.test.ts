/**
 * What a plugin's author reads: no type that gives up, a docstring on whatever
 * they may name, and for each common mistake a message of the compiler that
 * says what is wrong. The messages are the compiler's own words.
 */
import path from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const OPTIONS: ts.CompilerOptions = {
  noEmit: true,
  strict: true,
  noUncheckedIndexedAccess: true,
  allowImportingTsExtensions: true,
  target: ts.ScriptTarget.ES2024,
  module: ts.ModuleKind.NodeNext,
  skipLibCheck: true,
  types: [],
  lib: ['lib.es2024.d.ts', 'lib.dom.d.ts'],
};

const SETUP = `
import { action, company, date, defineClient, definePlugin, defineServer, money, need, number, object, ref, secret, select, text, type Importer } from './index.ts';
const base = definePlugin({
  id: 'base', version: '1.0.0', sdk: '^1.0.0', part: 'operational', locales: { en: { 'plugin.base': 'Base' } },
  objects: { firm: object({ icon: 'x', title: ['name'], fields: { name: text(), size: number() } }) },
});
const plugin = { id: 'late', version: '1.0.0', sdk: '^1.0.0', part: 'operational', locales: { en: { 'plugin.late': 'Late' } } } as const;
const late = definePlugin({
  ...plugin, needs: [need(base, '^1.0.0')], permissions: { waive: { roles: ['manager'] } }, events: { moved: { object: 'job', data: { days: number() } } }, settings: { fee: number({ default: 2 }), apiKey: secret() },
  objects: {
    job: object({
      icon: 'x', title: ['name'],
      fields: { name: text(), state: select({ options: { open: {}, done: {} } }), cost: money(), firm: ref('base.firm', { mode: 'restricted' }) },
      actions: { close: action({ input: { day: date() } }) },
    }),
  },
});
const load = () => Promise.resolve({ default: undefined });
const rest = { icon: 'x', fields: { name: text(), state: select({ options: { open: {} } }) } } as const;
export {};
`;

/** The mistakes, and what the compiler says of each: the words of its message that tell what is wrong. */
const MISTAKES: readonly [what: string, code: string, says: string][] = [
  ['a title that is no field', `object({ ...rest, title: ['nmae'] });`, `Type '"nmae"' is not assignable to type '"name" | "state"'.`],
  [
    'a view of a field that there is not',
    `object({ ...rest, title: ['name'], views: { all: { type: 'table', columns: ['nmae'] } } });`,
    `Type '"nmae"' is not assignable to type 'SystemField | "name" | "state"'.`,
  ],
  ['a misspelt key of an object', `object({ ...rest, title: ['name'], serach: ['name'] });`, `Did you mean to write 'search'?`],
  ['an object without a title', `object({ ...rest });`, `Property 'title' is missing in type`],
  [
    'a default that is no option',
    `select({ options: { open: {}, done: {} }, default: 'opne' });`,
    `Type '"opne"' is not assignable to type '"open" | "done" | undefined'.`,
  ],
  ['a setting that the field does not have', `text({ min: 1 });`, `'min' does not exist in type 'Spec<TextField>'.`],
  [
    'a reference to nothing',
    `definePlugin({ ...plugin, objects: { x: object({ ...rest, title: ['name'], fields: { name: text(), to: ref('late.jbo') } }) } });`,
    `"late.jbo\\" is no object of this plugin or of one under needs`,
  ],
  [
    'an extension of nothing',
    `definePlugin({ ...plugin, needs: [need(base, '^1.0.0')], extend: { 'base.frim': { fields: { n: number() } } } });`,
    `"base.frim\\" is no object of a plugin under needs`,
  ],
  ['a part that there is not', `definePlugin({ ...plugin, part: 'operativ' });`, `Type '"operativ"' is not assignable to type 'Part'.`],
  [
    'a language that lacks a text',
    `definePlugin({ ...plugin, locales: { en: { 'plugin.late': 'Late' }, de: {} } });`,
    `Property ''plugin.late'' is missing in type '{}' but required`,
  ],
  ['a misspelt key of a plugin', `definePlugin({ ...plugin, objekts: {} });`, `Did you mean to write 'objects'?`],
  [
    'a portal to a field that there is not',
    `definePlugin({ ...plugin, needs: [need(base, '^1.0.0')], portals: { agent: { objects: { 'base.firm': { rows: company('id'), read: ['nmae'] } } } } });`,
    `Type '"nmae"' is not assignable to type '"name" | "size" |`,
  ],
  [
    'a metric of nothing',
    `definePlugin({ ...plugin, needs: [need(base, '^1.0.0')], metrics: { n: { object: 'base.frim' } } });`,
    `Type '"base.frim"' is not assignable to type '"base.firm"'.`,
  ],
  [
    'a metric that sums a text',
    `definePlugin({ ...plugin, needs: [need(base, '^1.0.0')], metrics: { n: { object: 'base.firm', sum: 'name' } } });`,
    `Type '"name"' is not assignable to type '"size" |`,
  ],
  [
    'a setting of a kind that settings are not',
    `definePlugin({ ...plugin, settings: { fee: money() } });`,
    `"fee\\" cannot be a setting: use text, longText, number,`,
  ],
  [
    'a setting that must be there',
    `definePlugin({ ...plugin, settings: { fee: number({ required: true }) } });`,
    `"fee\\" cannot be required: that is for fields of records`,
  ],
  [
    'a setting that was not declared',
    `defineServer(late, { actions: { job: { close: async (_call, ctx) => void (await ctx.settings()).fees } } });`,
    `Property 'fees' does not exist on type 'SettingsOf<`,
  ],
  [
    'a secret read as if it were there',
    `defineServer(late, { actions: { job: { close: async (_call, ctx) => void (await ctx.secrets()).apiKey.length } } });`,
    `is possibly 'null'.`,
  ],
  [
    'a route for a permission that was not declared',
    `defineServer(late, { actions: { job: { close: () => undefined } }, routes: [{ method: 'GET', path: '/x', access: { permission: 'wiave' }, summary: '', handle: async () => ({}) }] });`,
    `Type '"wiave"' is not assignable to type '"waive"'.`,
  ],
  [
    'a page for a permission that was not declared',
    `defineClient(late, { 'nav.page': [{ id: 'p', title: 'plugin.late', icon: 'x', permission: 'wiave', load }] });`,
    `Type '"wiave"' is not assignable to type '"waive"`,
  ],
  [
    'a permission for a role that there is not',
    `definePlugin({ ...plugin, permissions: { waive: { roles: ['boss'] } } });`,
    `Type '"boss"' is not assignable to type '"admin" | "manager" | "member" | "reader"'.`,
  ],
  [
    'a service without a name that is in the catalogue',
    `defineServer(late, { actions: { job: { close: () => undefined } }, services: { watch: { title: 'service.watch', run: async () => {} } } });`,
    `Type '"service.watch"' is not assignable to type '"plugin.late"'.`,
  ],
  [
    'a service that writes outside of a transaction',
    `defineServer(late, { actions: { job: { close: () => undefined } }, services: { watch: { title: 'plugin.late', run: async (service) => { await service.records.get('late.job', 'x'); } } } });`,
    `Property 'records' does not exist on type 'ServiceTools<`,
  ],
  ['a server without its handlers', `defineServer(late, {});`, `Property 'actions' is missing in type '{}' but required`],
  [
    'an action without its handler',
    `defineServer(late, { actions: { job: {} } });`,
    `Property 'close' is missing in type '{}' but required`,
  ],
  [
    'a handler that nobody declared',
    `defineServer(late, { actions: { job: { close: () => undefined, clsoe: () => undefined } } });`,
    `Did you mean to write 'close'?`,
  ],
  [
    'a handler that sets a field that there is not',
    `defineServer(late, { actions: { job: { close: () => ({ stat: 'done' }) } } });`,
    `Type '{ stat: string; }' is not assignable to type 'Partial<RecordFields<`,
  ],
  [
    'a handler that sets a value of another type',
    `defineServer(late, { actions: { job: { close: () => ({ cost: 7 }) } } });`,
    `Type 'number' is not assignable to type 'Money'.`,
  ],
  [
    'an input that was not declared',
    `defineServer(late, { actions: { job: { close: ({ input }) => (input.dya ? undefined : undefined) } } });`,
    `Property 'dya' does not exist on type '{ readonly day: string | null; }'.`,
  ],
  [
    'a record of a plugin that is not needed',
    `defineServer(late, { actions: { job: { close: async (_call, ctx) => { await ctx.records.get('sales.order', 'x'); return undefined; } } } });`,
    `Argument of type '"sales.order"' is not assignable to parameter of type '"base.firm" | "late.job"'.`,
  ],
  [
    'an importer of records that there are not',
    `defineServer(late, { actions: { job: { close: () => undefined } }, importers: { list: { title: 'plugin.late', object: 'late.jbo', accepts: ['.csv'], read: () => [] } } });`,
    `Type '"late.jbo"' is not assignable to type '"base.firm" | "late.job"'.`,
  ],
  [
    'an importer that fills a field that there is not',
    `const list: Importer<typeof late, 'late.job'> = { title: 'plugin.late', object: 'late.job', accepts: ['.csv'], *read() { yield { where: 'line 1', fields: { nmae: 'x' } }; } };`,
    `Type '{ nmae: string; }' has no properties in common with type 'Partial<RecordFields<`,
  ],
  [
    'a file without what is in it',
    `defineServer(late, { actions: { job: { close: async (_call, ctx) => { await ctx.files.keep({ name: 'a.txt' }); return undefined; } } } });`,
    `Property 'data' is missing in type '{ name: string; }' but required`,
  ],
  [
    'a slot that there is not',
    `defineClient(late, { 'record.pannel': [{ id: 'p', title: 'plugin.late', object: 'late.job', load }] });`,
    `''record.pannel'' does not exist in type 'Contributions<`,
  ],
  [
    'a panel whose title is in no catalogue',
    `defineClient(late, { 'record.panel': [{ id: 'p', title: 'plugin.laet', object: 'late.job', load }] });`,
    `Type '"plugin.laet"' is not assignable to type '"plugin.late"'.`,
  ],
  [
    'a timeline item of an object that there is not',
    `defineClient(late, { 'timeline.item': [{ id: 'i', object: 'late.jbo', load }] });`,
    `Type '"late.jbo"' is not assignable to type '"base.firm" | "late.job"'.`,
  ],
  [
    'a channel over which nothing is sent',
    `defineServer(late, { actions: { job: { close: () => undefined } }, channels: { text: { reach: 'phone' } } });`,
    `Property 'send' is missing in type '{ reach: string; }' but required in type 'Channel<`,
  ],
  [
    'a way of writing over no channel',
    `defineClient(late, { 'compose.channel': [{ id: 'w', title: 'plugin.late', icon: 'x', load }] });`,
    `Property 'channel' is missing in type`,
  ],
  [
    'an event of an object that there is not',
    `definePlugin({ ...plugin, objects: { job: object({ ...rest, title: ['name'] }) }, events: { moved: { object: 'jbo' } } });`,
    `Type '"jbo"' is not assignable to type '"job"'.`,
  ],
  [
    'an event that was not declared',
    `defineServer(late, { actions: { job: { close: async (_call, ctx) => void (await ctx.emit('moevd', 'x', { days: 1 })) } } });`,
    `Argument of type '"moevd"' is not assignable to parameter of type '"moved"'.`,
  ],
  [
    'data of an event that is of another kind',
    `defineServer(late, { actions: { job: { close: async (_call, ctx) => void (await ctx.emit('moved', 'x', { days: 'three' })) } } });`,
    `Type 'string' is not assignable to type 'number'.`,
  ],
  [
    'a widget whose title is in no catalogue',
    `defineClient(late, { 'home.widget': [{ id: 'w', title: 'plugin.laet', load }] });`,
    `Type '"plugin.laet"' is not assignable to type '"plugin.late"'.`,
  ],
];

const index = path.join(import.meta.dirname, 'index.ts');
const files = new Map(MISTAKES.map(([, code], at) => [path.join(import.meta.dirname, `mistake-${at}.ts`), SETUP + code]));
const host = ts.createCompilerHost(OPTIONS);
const { getSourceFile, fileExists, readFile } = host;
host.fileExists = (file) => files.has(path.normalize(file)) || fileExists(file);
host.readFile = (file) => files.get(path.normalize(file)) ?? readFile(file);
host.getSourceFile = (file, options, ...more) => {
  const text = files.get(path.normalize(file));
  return text === undefined ? getSourceFile(file, options, ...more) : ts.createSourceFile(file, text, options);
};
const program = ts.createProgram([index, ...files.keys()], OPTIONS, host);
const checker = program.getTypeChecker();

/** A message with all that it is made of, the last of which is the reason. */
const told = (message: string | ts.DiagnosticMessageChain): string[] =>
  typeof message === 'string' ? [message] : [message.messageText, ...(message.next ?? []).flatMap(told)];

describe('the contract says of', () => {
  it.each(MISTAKES.map(([what, , says], at) => [what, says, at] as const))('%s what is wrong', (_what, says, at) => {
    const file = [...files.keys()][at]!;
    const found = program.getSemanticDiagnostics(program.getSourceFile(file));
    const lines = found.flatMap(({ messageText }) => told(messageText));
    expect(
      lines.some((one) => one.includes(says)),
      lines.join('\n'),
    ).toBe(true);
  });
});

describe('what an author may name', () => {
  const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(index)!)!);

  it('has no any in it, however deep', () => {
    const found: string[] = [];
    const seen = new Set<ts.Type>();
    const ours = (symbol: ts.Symbol | undefined): boolean =>
      symbol?.declarations?.some((one) => one.getSourceFile().fileName.startsWith(import.meta.dirname)) ?? true;
    const visit = (type: ts.Type, at: string): void => {
      if (type.flags & ts.TypeFlags.Any) return void found.push(at);
      if (seen.has(type) || at.split('.').length > 12) return;
      seen.add(type);
      if (type.isUnionOrIntersection()) for (const one of type.types) visit(one, at);
      for (const one of checker.getTypeArguments(type as ts.TypeReference) ?? []) visit(one, `${at}<>`);
      for (const one of type.aliasTypeArguments ?? []) visit(one, `${at}<>`);
      if (!ours(type.symbol)) return;
      for (const signature of type.getCallSignatures()) {
        for (const parameter of signature.getParameters()) visit(checker.getTypeOfSymbol(parameter), `${at}(${parameter.name})`);
        visit(signature.getReturnType(), `${at}()`);
      }
      for (const info of checker.getIndexInfosOfType(type)) visit(info.type, `${at}[]`);
      for (const property of checker.getPropertiesOfType(type))
        if (ours(property)) visit(checker.getTypeOfSymbol(property), `${at}.${property.name}`);
    };
    for (const symbol of exported) {
      const real = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      if (real.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias | ts.SymbolFlags.Class))
        visit(checker.getDeclaredTypeOfSymbol(real), real.name);
      if (real.flags & (ts.SymbolFlags.Variable | ts.SymbolFlags.Function)) visit(checker.getTypeOfSymbol(real), real.name);
    }
    expect(seen.size).toBeGreaterThan(300);
    expect(found).toEqual([]);
  });
});

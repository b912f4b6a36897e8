/** The example uses every key of the contract: the keys are read from its types, so that a new one is missed here. */
import path from 'node:path';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';
import { client } from './client.ts';
import { example } from './plugin.ts';
import { server } from './server.ts';

const sdk = path.resolve(import.meta.dirname, '../../../packages/sdk/src');
let keysOf: (type: string) => string[];
let literalsOf: (type: string) => string[];

beforeAll(() => {
  const index = path.join(sdk, 'index.ts');
  const program = ts.createProgram([index], {
    noEmit: true,
    strict: true,
    allowImportingTsExtensions: true,
    module: ts.ModuleKind.NodeNext,
    skipLibCheck: true,
  });
  const checker = program.getTypeChecker();
  const exported = new Map(
    checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(index)!)!).map((one) => [one.name, one]),
  );
  const typeOf = (name: string): ts.Type => checker.getDeclaredTypeOfSymbol(exported.get(name)!);
  /** Of a union, the keys of every member; of a function, those of what it is given. */
  keysOf = (name) => {
    const symbol = exported.get(name)!;
    const call = name === 'definePlugin' ? checker.getTypeOfSymbol(symbol).getCallSignatures()[0] : undefined;
    const type = call ? checker.getTypeOfSymbol(call.parameters[0]!) : typeOf(name);
    const members = type.isUnion() ? type.types : [type];
    return [...new Set(members.flatMap((one) => checker.getPropertiesOfType(one).map((property) => property.name)))].sort();
  };
  literalsOf = (name) => {
    const type = typeOf(name);
    return (type.isUnion() ? type.types : [type]).flatMap((one) => (one.isStringLiteral() ? [one.value] : []));
  };
});

type Plain = Record<string, object | undefined>;
const used = (...things: (object | undefined)[]): string[] => [...new Set(things.flatMap((one) => Object.keys(one ?? {})))].sort();
const values = (of: object | undefined): object[] => Object.values((of ?? {}) as Plain).filter((one) => one !== undefined);

const objects = values(example.objects) as (typeof example.objects)[keyof typeof example.objects][];
const actions = objects.flatMap((one) => values('actions' in one ? one.actions : {}));
const fields = [
  ...objects.flatMap((one) => values(one.fields)),
  ...values(example.extend).flatMap((one) => values((one as { fields?: object }).fields)),
  ...actions.flatMap((one) => values((one as { input?: object }).input)),
];
const views = objects.flatMap((one) => values('views' in one ? one.views : {}));
const [portal] = Object.values(example.portals ?? {});

describe('the example', () => {
  it.each<[string, string[]]>([
    ['definePlugin', used(example)],
    ['AnyServer', used(server)],
    ['Slots', used(client.slots)],
    ['AnyObject', used(...objects)],
    ['Extension', used(...values(example.extend))],
    ['View', used(...views)],
    ['Action', used(...actions)],
    ['Field', used(...fields)],
    ['Option', used(...fields.flatMap((one) => values((one as { options?: object }).options)))],
    ['Audience', used(...values(example.audiences))],
    ['AnyPortal', used(portal)],
    ['PortalObject', used(...values(portal!.objects))],
    ['PortalPage', used(...values(portal!.pages))],
    ['PortalSelection', used(...portal!.start!.answer!, ...portal!.start!.late!)],
    ['EventDeclaration', used(...values(example.events))],
    ['Metric', used(...values(example.metrics))],
    ['ShippedWorkflow', used(...values(example.workflows))],
    ['Consumer', used(...values(server.consumers))],
    ['Service', used(...values(server.services))],
    ['Job', used(...values(server.jobs))],
    ['PluginRoute', used(...(server.routes ?? []))],
    ['Importer', used(...values(server.importers))],
    ['Channel', used(...values(server.channels))],
    ['Migration', used(...(server.migrations ?? []))],
    ['Demo', used(...values(server.demo))],
  ])('uses every key of %s', (type, keys) => {
    const wanted = keysOf(type);
    expect(wanted.length).toBeGreaterThan(1);
    expect(wanted.filter((key) => !keys.includes(key))).toEqual([]);
  });

  it('has a field of every type and of every mode', () => {
    const types = new Set(fields.map((one) => (one as { type: string }).type));
    expect(literalsOf('FieldType').filter((one) => !types.has(one))).toEqual([]);
    const modes = new Set(['live', ...fields.map((one) => (one as { mode?: string }).mode)]);
    expect(literalsOf('FieldMode').filter((one) => !modes.has(one))).toEqual([]);
  });
});

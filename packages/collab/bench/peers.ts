/** One server under load, as a process of its own: `kith`, `hocuspocus`, `plain` (y-websocket without storage) or `relay`. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import * as Y from 'yjs';
import { createRuntime } from '@kith/core/runtime';
import { testEnv } from '@kith/core/testing';
import { Server } from '@hocuspocus/server';
import { readMessage, step1Frame, step2Frame, updateFrame } from '../src/protocol.ts';
import { crm, serve, server } from '../testing/world.ts';

const kind = process.argv[2];

async function listen(): Promise<number> {
  if (kind === 'kith') {
    const databaseUrl = process.env.DATABASE_URL!;
    const runtime = await createRuntime({ roles: ['web'], plugins: [crm], servers: [server], env: testEnv(databaseUrl), databaseUrl });
    return (await serve(runtime)).port;
  }
  if (kind === 'hocuspocus') {
    const peer = new Server({ port: 0, quiet: true, address: '127.0.0.1', stopOnSignals: false });
    await peer.listen();
    return (peer.httpServer.address() as AddressInfo).port;
  }
  return memory(kind === 'plain');
}

/** Rooms in memory: with documents, or only passing on what comes. */
async function memory(documents: boolean): Promise<number> {
  const rooms = new Map<string, { doc: Y.Doc; sockets: Set<WebSocket> }>();
  const sockets = new WebSocketServer({ noServer: true });
  const http = createServer();
  http.on('upgrade', (req, socket, head) =>
    sockets.handleUpgrade(req, socket, head, (ws) => {
      const room = rooms.get(req.url!) ?? { doc: new Y.Doc(), sockets: new Set<WebSocket>() };
      rooms.set(req.url!, room);
      room.sockets.add(ws);
      ws.on('close', () => room.sockets.delete(ws));
      ws.send(step1Frame(Y.encodeStateVector(room.doc)));
      ws.on('message', (data: Buffer) => {
        if (!documents) {
          for (const other of room.sockets) if (other !== ws) other.send(data);
          return;
        }
        const message = readMessage(new Uint8Array(data));
        if (message.kind === 'step1') ws.send(step2Frame(Y.encodeStateAsUpdate(room.doc, message.vector)));
        if (message.kind !== 'step2' && message.kind !== 'update') return;
        Y.applyUpdate(room.doc, message.update);
        for (const other of room.sockets) if (other !== ws) other.send(updateFrame(message.update));
      });
    }),
  );
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return (http.address() as AddressInfo).port;
}

process.on('message', (message) => {
  if (message === 'usage') process.send?.({ cpu: process.cpuUsage(), rss: process.memoryUsage().rss });
});
process.on('disconnect', () => process.exit(0));
process.send?.({ port: await listen() });

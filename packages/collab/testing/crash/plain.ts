/**
 * A plain y-websocket server: it keeps documents in memory, relays what comes in
 * and calls it saved. What most people run; the harness must see it lose.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import * as Y from 'yjs';
import { readMessage, savedFrame, step1Frame, step2Frame, updateFrame } from '../../src/protocol.ts';

const documents = new Map<string, { doc: Y.Doc; sockets: Set<WebSocket> }>();
const sockets = new WebSocketServer({ noServer: true });
const http = createServer((req, res) => {
  const id = (req.url ?? '').slice(1);
  res.end(documents.get(id)?.doc.getText('summary').toString() ?? '');
});
http.on('upgrade', (req, socket, head) => {
  sockets.handleUpgrade(req, socket, head, (ws) => {
    const id = (req.url ?? '').split('/')[3]!;
    const room = documents.get(id) ?? { doc: new Y.Doc(), sockets: new Set<WebSocket>() };
    documents.set(id, room);
    room.sockets.add(ws);
    let count = 0;
    ws.send(step1Frame(Y.encodeStateVector(room.doc)));
    ws.on('close', () => room.sockets.delete(ws));
    ws.on('message', (data: Buffer) => {
      const message = readMessage(new Uint8Array(data));
      if (message.kind === 'step1') ws.send(step2Frame(Y.encodeStateAsUpdate(room.doc, message.vector)));
      if (message.kind !== 'step2' && message.kind !== 'update') return;
      Y.applyUpdate(room.doc, message.update);
      for (const other of room.sockets) if (other !== ws) other.send(updateFrame(message.update));
      ws.send(savedFrame(++count));
    });
  });
});
http.listen(0, '127.0.0.1', () => process.send?.({ port: (http.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));

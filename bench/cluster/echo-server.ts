/** The unit of measure: a server that sends back what it gets. */
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
server.on('connection', (ws) => ws.on('message', (data, binary) => ws.send(data, { binary })));
server.on('listening', () => process.send!((server.address() as AddressInfo).port));
process.on('SIGTERM', () => process.exit(0));
// Its benchmark is gone, however it went.
process.on('disconnect', () => process.exit(0));

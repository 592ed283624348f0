/** Commands of operators: known ones are run, everything else is refused with what was expected. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { CoterieError } from '../../src/core/errors.ts';
import { runAdminCommand, uintArgument } from '../../src/node/operators/admin-commands.ts';
import type { AdminCommands } from '../../src/node/operators/admin-commands.ts';
import type { HandledReply } from '../../src/wire/client-messages.ts';
import { decodeClientRequest } from '../../src/wire/request-codec.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { cluster } from '../sim/cluster.ts';

const admin = suite('admin commands');

const COMMANDS: AdminCommands = {
  'echo.args': (args, answer) => answer({ ...args }),
  'echo.later': (_, answer) => answer(new CoterieError('NOT_READY', 'not yet')),
  'echo.number': (args, answer) => answer({ number: uintArgument(args, 'number', 8) ?? 'none' }),
};

const run = (command: string, args: Readonly<Record<string, unknown>> = {}): HandledReply => {
  let answer: HandledReply | undefined;
  const request = { type: 'admin', command, args, timeoutMs: 1000 } as const;
  runAdminCommand(COMMANDS, request, (reply) => (answer = reply));
  assert.ok(answer !== undefined);
  return answer;
};

admin('are answered with a map, or with the failure they say', () => {
  assert.deepEqual(run('echo.args', { a: 1 }), { type: 'admin-is', result: { a: 1 } });
  const refused = run('echo.later');
  assert.ok(refused.type === 'failed' && refused.code === 'NOT_READY');
});

admin('that nobody knows are refused with the list of those known', () => {
  for (const command of ['nonsense', 'toString', '__proto__', '']) {
    const refused = run(command);
    assert.ok(refused.type === 'failed' && refused.code === 'BAD_ARGUMENT', command);
    assert.deepEqual(refused.details['commands'], ['echo.args', 'echo.later', 'echo.number']);
  }
});

admin('check their arguments', () => {
  assert.deepEqual(run('echo.number', { number: 7 }), { type: 'admin-is', result: { number: 7 } });
  assert.deepEqual(run('echo.number'), { type: 'admin-is', result: { number: 'none' } });
  for (const number of [8, -1, 1.5, '7', true, [1]]) {
    const refused = run('echo.number', { number });
    assert.ok(refused.type === 'failed' && refused.code === 'BAD_ARGUMENT', String(number));
    assert.match(refused.message, /number: expected an integer from 0 to 7/);
  }
});

admin('come as a name and a map, or are no message', () => {
  const limits = { valueBytesMax: 10, requestTimeoutMs: 50 };
  const decode = (...fields: unknown[]) =>
    decodeClientRequest(encodeCbor([13, 1, ...fields]), limits);
  assert.deepEqual(decode('x', {}), {
    type: 'request',
    id: 1,
    request: { type: 'admin', command: 'x', args: {}, timeoutMs: 50 },
  });
  for (const fields of [[], ['x'], ['x', []], [1, {}], ['x', 'y']]) {
    const decoded = decode(...fields);
    assert.ok(decoded.type === 'bad' && decoded.error.code === 'BAD_ARGUMENT');
  }
});

admin('reach the node a client is connected to', () => {
  const c = cluster();
  const request = { type: 'admin', command: 'repair.status', args: {}, timeoutMs: 1000 } as const;
  const reply = c.ask(0, request);
  assert.ok(reply.type === 'admin-is', JSON.stringify(reply));
  const { peers } = reply.result as { readonly peers: readonly { readonly peer: string }[] };
  assert.deepEqual(peers.map(({ peer }) => peer).sort(), ['n2', 'n3']);
});

admin.run();

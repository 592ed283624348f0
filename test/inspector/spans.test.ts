/** Spans of requests: whoever tells them, they are one trace, under the client's span if it has one. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { parseTraceparent } from '../../src/core/traceparent.ts';
import type { InspectionRecord } from '../../src/inspector/records.ts';
import { spansOf } from '../../src/inspector/spans.ts';

const spans = suite('spans of requests');

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';

type Part = Partial<InspectionRecord> & Pick<InspectionRecord, 'node' | 'type' | 'what' | 'atMs'>;

const story = (cause: string): readonly InspectionRecord[] =>
  (
    [
      { node: 'n1', type: 'born', what: 'put', atMs: 1000.25, facts: { key: 'cart' } },
      { node: 'n1', type: 'state', what: 'writing', atMs: 1001 },
      { node: 'n1', type: 'sent', what: 'write', peer: 'n2', atMs: 1001 },
      { node: 'n2', type: 'heard', what: 'write', peer: 'n1', atMs: 1002, actor: 'replica' },
      { node: 'n2', type: 'sent', what: 'written', peer: 'n1', atMs: 1003, actor: 'replica' },
      { node: 'n1', type: 'did', what: 'reply', atMs: 1004, facts: { outcome: 'applied' } },
      { node: 'n1', type: 'ended', what: 'done', atMs: 1500 },
    ] satisfies Part[]
  ).map((part, seq) => ({ seq, cause, actor: 'put 17', ...part }));

const flat = (records: readonly InspectionRecord[]) =>
  spansOf(records).resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans: own }) =>
      own.map((span) => ({ ...span, node: resource.attributes[1]!.value.stringValue })),
    ),
  );

spans('a put is one span of its coordinator and one of each replica that heard it', () => {
  const [coordinator, replica, ...others] = flat(story('n1.17'));
  assert.deepEqual(others, []);
  assert.deepEqual([coordinator!.node, replica!.node], ['n1', 'n2']);
  assert.deepEqual([coordinator!.name, replica!.name], ['coterie put', 'replica write']);
  assert.equal(coordinator!.traceId, replica!.traceId);
  assert.match(coordinator!.traceId, /^[0-9a-f]{32}$/);
  assert.equal(coordinator!.parentSpanId, undefined);
  assert.equal(replica!.parentSpanId, coordinator!.spanId);
  assert.equal(coordinator!.startTimeUnixNano, '1000250000');
  assert.equal(coordinator!.endTimeUnixNano, '1004000000');
  assert.equal(coordinator!.status.code, 1);
});

spans('each node by itself tells the same ids', () => {
  const all = story('n1.17');
  const apart = ['n2', 'n1'].flatMap((id) => flat(all.filter(({ node }) => node === id)));
  const ids = (list: ReturnType<typeof flat>) => list.map(({ spanId }) => spanId).sort();
  assert.deepEqual(ids(apart), ids(flat(all)));
});

spans("a client's trace takes the request in", () => {
  const [coordinator] = flat(story(`n1.t1/00-${TRACE}-${PARENT}-01`));
  assert.equal(coordinator!.traceId, TRACE);
  assert.equal(coordinator!.parentSpanId, PARENT);
});

spans('a failed request is an error', () => {
  const failed = story('n1.17').map((each) =>
    each.what === 'reply' ? { ...each, facts: { outcome: 'QUORUM_FAILED' } } : each,
  );
  assert.equal(flat(failed)[0]!.status.code, 2);
});

spans('a traceparent is read as the standard says, and nothing else is one', () => {
  assert.deepEqual(parseTraceparent(`00-${TRACE}-${PARENT}-01`), {
    traceId: TRACE,
    spanId: PARENT,
    sampled: true,
  });
  assert.equal(parseTraceparent(`00-${TRACE}-${PARENT}-00`)!.sampled, false);
  assert.ok(parseTraceparent(`cc-${TRACE}-${PARENT}-01-what-comes-later`));
  for (const wrong of [
    '',
    `ff-${TRACE}-${PARENT}-01`,
    `00-${'0'.repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01-more`,
    `00-${TRACE}-${PARENT}`,
  ]) {
    assert.equal(parseTraceparent(wrong), undefined, wrong);
  }
});

spans.run();

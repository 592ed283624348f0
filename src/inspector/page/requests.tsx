/** The live list of requests, and beside it the one that is open. */
import { signal } from '@preact/signals';
import type { InspectionRecord } from '../records.ts';
import { Empty, NodeName, Panel, clockTime, duration, moveFocus } from './bits.tsx';
import { playhead, sampleEvery, stories, tick, watch } from './store.ts';
import type { StoryRow } from './store.ts';
import { Story, selectStory, selectedCause } from './story.tsx';

const ROWS_MAX = 200;
const WHYS = ['all', 'slow', 'failed', 'siblings'] as const;

const text = signal('');
const why = signal<(typeof WHYS)[number]>('all');

export const Requests = () => {
  // Reading the tick subscribes to the plain collections behind it.
  void tick.value;
  const rows = [...stories.values()]
    .filter(({ startMs }) => startMs <= playhead.value)
    // What a replica did may be told before the coordinator's birth, or without it.
    .filter(({ summary, records }) => summary !== undefined || records.some(isBirth))
    .map(rowView)
    .filter(matches)
    .sort((a, b) => b.startMs - a.startMs)
    .slice(0, ROWS_MAX);
  const cause = selectedCause.value;
  const selected = cause === undefined ? undefined : stories.get(cause);
  return (
    <div class={`split ${selected === undefined ? '' : 'has-detail'}`}>
      <Panel
        name="requests"
        title="Requests"
        aside={
          <>
            <input
              class="filter"
              type="search"
              placeholder="key, node or outcome   /"
              value={text.value}
              onInput={(event) => (text.value = event.currentTarget.value)}
              aria-label="filter requests"
            />
            <div class="segments" role="group" aria-label="which requests">
              {WHYS.map((each) => (
                <button aria-pressed={why.value === each} onClick={() => (why.value = each)}>
                  {each}
                </button>
              ))}
            </div>
          </>
        }
      >
        {rows.length === 0 ? (
          <NoRequests />
        ) : (
          <RequestTable rows={rows} columns={selected === undefined ? 'all' : 'few'} />
        )}
      </Panel>
      {selected === undefined ? null : <Story row={selected} title={<Title row={selected} />} />}
    </div>
  );
};

const Title = ({ row }: { readonly row: StoryRow }) => {
  const { operation, key } = rowView(row);
  return (
    <>
      {operation} <code>{key}</code>
    </>
  );
};

const NoRequests = () =>
  text.value !== '' || why.value !== 'all' ? (
    <Empty title="No request matches">Change the filter, or wait for one.</Empty>
  ) : (
    <Empty title="No request yet">
      {sampleEvery.value === 1
        ? 'Every request is recorded; send one: '
        : `One in ${sampleEvery.value} requests is recorded, and every slow or failed one. `}
      <code>coterie put cart:alice milk</code>
      {sampleEvery.value === 1 ? null : (
        <button onClick={() => watch(1)}>Record every request</button>
      )}
    </Empty>
  );

type RowView = {
  readonly cause: string;
  readonly startMs: number;
  readonly operation: string;
  readonly key: string;
  readonly node: string;
  readonly replyMs: number | undefined;
  readonly outcome: string;
  readonly why: string;
};

const rowView = ({ cause, summary, records, startMs }: StoryRow): RowView => {
  const births = records.filter(isBirth);
  const born = births.find(({ what }) => what !== 'forward') ?? births[0];
  const reply = records.find(({ type, what }) => type === 'did' && what === 'reply');
  const value = String(born?.facts?.['value'] ?? '');
  const machine = summary?.machine ?? born?.what ?? '?';
  return {
    cause,
    startMs,
    operation: value === 'tombstone' ? 'delete' : machine,
    key: summary?.key ?? String(born?.facts?.['key'] ?? ''),
    node: summary?.node ?? born?.node ?? cause.split('.')[0]!,
    replyMs: summary?.replyMs ?? (reply === undefined ? undefined : reply.atMs - startMs),
    outcome: summary?.outcome ?? String(reply?.facts?.['outcome'] ?? 'under way'),
    why: summary?.why ?? 'sampled',
  };
};

const isBirth = ({ type }: InspectionRecord): boolean => type === 'born';

const matches = (row: RowView): boolean => {
  if (why.value !== 'all' && row.why !== why.value) return false;
  const wanted = text.value.toLowerCase();
  return [row.key, row.node, row.outcome, row.operation].some((each) =>
    each.toLowerCase().includes(wanted),
  );
};

/** Beside an open request there is room for the most needed columns only. */
const RequestTable = ({
  rows,
  columns,
}: {
  readonly rows: readonly RowView[];
  readonly columns: 'all' | 'few';
}) => (
  <div class="scroll tall">
    <table class="rows">
      <thead>
        <tr>
          <th>time</th>
          <th>operation</th>
          <th>key</th>
          {columns === 'all' ? <th>coordinator</th> : null}
          <th class="number">reply</th>
          {columns === 'all' ? <th>outcome</th> : null}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr
            key={row.cause}
            data-cause={row.cause}
            tabIndex={0}
            aria-selected={row.cause === selectedCause.value}
            onClick={() => selectStory(row.cause)}
            onKeyDown={(event) => {
              if (event.key === 'Enter') selectStory(row.cause);
              moveFocus(event);
            }}
          >
            <td class="mono">
              {columns === 'all' ? clockTime(row.startMs) : clockTime(row.startMs).slice(-9)}
            </td>
            <td>{row.operation}</td>
            <td class="key" title={row.key}>
              {row.key}
            </td>
            {columns === 'all' ? (
              <td>
                <NodeName id={row.node} />
              </td>
            ) : null}
            <td class={`number mono ${columns === 'few' ? row.why : ''}`} title={row.outcome}>
              {duration(row.replyMs)}
            </td>
            {columns === 'all' ? (
              <td>
                {row.outcome}{' '}
                {row.why === 'sampled' ? null : <span class={`tag ${row.why}`}>{row.why}</span>}
              </td>
            ) : null}
          </tr>
        ))}
      </tbody>
    </table>
  </div>
);

/** Everything in the order it was told, filtered, paused, exported. */
import { signal } from '@preact/signals';
import type { InspectionRecord, Recording } from '../records.ts';
import { Empty, NodeName, Panel, clockTime, factsText, moveFocus, shortActor } from './bits.tsx';
import { spansOf } from '../spans.ts';
import { perfettoOf } from './perfetto.ts';
import { selectStory } from './story.tsx';
import { show } from './views.ts';
import { droppedTotal, happened, memberIds, records, stories, tick } from './store.ts';

const ROWS_MAX = 300;
const KINDS = ['log', 'event', 'state', 'sent', 'heard', 'did', 'born', 'ended'] as const;
type Row = (typeof records)[number];

const text = signal('');
const hidden = signal<ReadonlySet<string>>(new Set());
/** The rows as they were when somebody paused. */
const frozen = signal<readonly Row[] | undefined>(undefined);

export const Log = () => {
  void tick.value;
  const all = frozen.value ?? happened();
  const rows = newest(all);
  const openStory = (cause: string): void => {
    if (!stories.has(cause)) return;
    selectStory(cause);
    show('requests');
  };
  return (
    <Panel
      name="log"
      title="Log"
      aside={
        <>
          <input
            class="filter"
            type="search"
            placeholder="filter   /"
            aria-label="filter the log"
            value={text.value}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
          <button
            aria-pressed={frozen.value !== undefined}
            onClick={() => (frozen.value = frozen.value === undefined ? [...records] : undefined)}
          >
            {frozen.value === undefined ? 'pause' : 'go on'}
          </button>
          <button onClick={() => save('coterie-log.json', exported(all))}>JSON</button>
          <button
            title="opens in Perfetto and in chrome://tracing"
            onClick={() => save('coterie-trace.json', perfettoOf(all.filter(isRecord)))}
          >
            Perfetto
          </button>
          <button
            title="requests as spans, to be posted to /v1/traces of a collector"
            onClick={() => save('coterie-spans.json', spansOf(all.filter(isRecord)))}
          >
            OTLP
          </button>
        </>
      }
    >
      <div class="segments wrap pad" role="group" aria-label="kinds">
        {KINDS.map((kind) => (
          <button aria-pressed={!hidden.value.has(kind)} onClick={() => toggle(kind)}>
            {kind}
          </button>
        ))}
        {droppedTotal.value > 0 ? (
          <span class="muted">
            {droppedTotal.value} records were dropped since this page was opened
          </span>
        ) : null}
      </div>
      {rows.length === 0 ? (
        <Empty title={records.length === 0 ? 'Nothing happened yet' : 'Nothing matches'}>
          {records.length === 0
            ? 'A cluster at rest gossips once a second.'
            : 'Change the filter or the kinds.'}
        </Empty>
      ) : (
        <div class="scroll tall">
          <table class="rows log">
            <tbody>
              {rows.map((row) =>
                isRecord(row) ? (
                  <tr
                    key={`${row.node} ${row.seq}`}
                    class={`${row.type} ${row.type === 'log' ? row.state : ''}`}
                    tabIndex={stories.has(row.cause ?? '') ? 0 : undefined}
                    onClick={() => openStory(row.cause ?? '')}
                    onKeyDown={(event) => {
                      if (event.key === 'Enter') openStory(row.cause ?? '');
                      moveFocus(event);
                    }}
                  >
                    <td class="mono muted">{clockTime(row.atMs)}</td>
                    <td>
                      <NodeName id={row.node} />
                    </td>
                    <td>{shortActor(row.actor)}</td>
                    <td class="kind">{row.type}</td>
                    <td>
                      {row.what}
                      {row.peer === undefined
                        ? ''
                        : ` ${row.type === 'sent' ? '→' : '←'} ${row.peer}`}
                    </td>
                    <td class="muted facts">{factsText(row.facts)}</td>
                  </tr>
                ) : (
                  <tr class="dropped">
                    <td />
                    <td>
                      <NodeName id={row.node} />
                    </td>
                    <td colSpan={4}>dropped {row.dropped}: more than this page could draw</td>
                  </tr>
                ),
              )}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
};

const isRecord = (row: Row): row is InspectionRecord => 'seq' in row;

const newest = (all: readonly Row[]): readonly Row[] => {
  const rows: Row[] = [];
  const wanted = text.value.toLowerCase();
  for (let i = all.length - 1; i >= 0 && rows.length < ROWS_MAX; i--) {
    const row = all[i]!;
    if (!isRecord(row)) rows.push(row);
    else if (!hidden.value.has(row.type) && (wanted === '' || lineOf(row).includes(wanted))) {
      rows.push(row);
    }
  }
  return rows;
};

const lineOf = (row: InspectionRecord): string =>
  `${row.node} ${row.actor} ${row.type} ${row.what} ${row.peer ?? ''} ${factsText(row.facts)}`.toLowerCase();

const toggle = (kind: string): void => {
  const next = new Set(hidden.value);
  if (!next.delete(kind)) next.add(kind);
  hidden.value = next;
};

const exported = (all: readonly Row[]): Recording => ({
  format: 'coterie recording 1',
  title: `exported ${new Date().toISOString()}`,
  nodes: memberIds.value,
  records: all.filter(isRecord),
  stories: [...stories.values()].flatMap(({ summary }) => summary ?? []),
});

const save = (name: string, content: object): void => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(
    new Blob([JSON.stringify(content)], { type: 'application/json' }),
  );
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
};

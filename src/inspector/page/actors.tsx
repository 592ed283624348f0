/** The long-lived actors of each node, as a tree, and one of them with its chart. */
import { signal } from '@preact/signals';
import type { ActorGauge, InspectionRecord } from '../records.ts';
import { Empty, NodeName, Panel, clockTime, duration, factsText, moveFocus } from './bits.tsx';
import { MachineChart } from './chart.tsx';
import { ask, happened, memberIds, nodes, now, recording, records, tick } from './store.ts';
import type { HistoryPoint } from './store.ts';

const COLUMNS = ['actor', 'state', 'rate', 'mailbox', 'restarts', 'age'] as const;
type Column = (typeof COLUMNS)[number];
type Chosen = { readonly node: string; readonly actor: string };

const EVENTS_SHOWN = 40;
const MAILBOX_TITLE = 'the most events that waited behind another in the last few seconds';
/** Gauges come twice a second. */
const RECENT_POINTS = 8;

const sortBy = signal<Column>('actor');
const chosen = signal<Chosen | undefined>(undefined);
const context = signal<{ readonly of: Chosen; readonly text: string } | undefined>(undefined);

export const Actors = () => {
  void tick.value;
  if (recording.value !== undefined) return <RecordedActors />;
  const ids = memberIds.value;
  if (ids.length === 0)
    return <Empty title="No node has told of its actors yet">Waiting for the first answer.</Empty>;
  const picked = chosen.value ?? { node: ids[0]!, actor: 'writeBuffer' };
  return (
    <div class="split">
      <Panel name="actors" title="Actors" aside={<span class="muted">click a column to sort</span>}>
        <div class="scroll tall">
          <table class="rows">
            <thead>
              <tr>
                {COLUMNS.map((column) => (
                  <th
                    class={column === 'actor' || column === 'state' ? '' : 'number'}
                    title={column === 'mailbox' ? MAILBOX_TITLE : undefined}
                    aria-sort={sortBy.value === column ? 'descending' : 'none'}
                  >
                    <button class="sort" onClick={() => (sortBy.value = column)}>
                      {column === 'rate' ? 'events/s' : column}
                      {sortBy.value === column ? ' ▾' : ''}
                    </button>
                  </th>
                ))}
              </tr>
            </thead>
            {ids.map((id) => (
              <NodeActors id={id} picked={picked} />
            ))}
          </table>
        </div>
      </Panel>
      <ActorDetail picked={picked} />
    </div>
  );
};

const NodeActors = ({ id, picked }: { readonly id: string; readonly picked: Chosen }) => {
  const seen = nodes.value.get(id);
  const actors = [...(seen?.gauges.actors ?? [])].sort(order(id));
  const alive = Object.values(seen?.gauges.coordinators ?? {}).reduce((sum, each) => sum + each, 0);
  return (
    <tbody>
      <tr class="group">
        <th colSpan={COLUMNS.length}>
          <NodeName id={id} />{' '}
          <span class="muted">
            {seen === undefined
              ? 'told nothing yet'
              : `${alive} coordinators alive${coordinatorText(seen.gauges.coordinators)}`}
          </span>
        </th>
      </tr>
      {actors.map((gauge) => (
        <tr
          tabIndex={0}
          data-actor={`${id} ${gauge.actor}`}
          aria-selected={picked.node === id && picked.actor === gauge.actor}
          onClick={() => (chosen.value = { node: id, actor: gauge.actor })}
          onKeyDown={(event) => {
            if (event.key === 'Enter') chosen.value = { node: id, actor: gauge.actor };
            moveFocus(event);
          }}
        >
          <td>
            <span class="tree" aria-hidden="true">
              {gauge.actor === 'node' ? '┌ ' : '├ '}
            </span>
            {gauge.actor}
          </td>
          <td class="state-text">
            {gauge.actor === 'node' ? gauge.state.split(',')[0] : gauge.state}
          </td>
          <td class="number mono">{rateOf(id, gauge.actor).toFixed(1)}</td>
          <td class="number mono">{mailboxOf(id, gauge.actor)}</td>
          <td class="number mono">{gauge.restarts}</td>
          <td class="number mono">{duration(now.value - gauge.bornAtMs)}</td>
        </tr>
      ))}
    </tbody>
  );
};

const coordinatorText = (coordinators: Readonly<Record<string, number>>): string => {
  const parts = Object.entries(coordinators)
    .filter(([, count]) => count > 0)
    .map(([machine, count]) => `${count} ${machine}`);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
};

const order =
  (id: string) =>
  (a: ActorGauge, b: ActorGauge): number => {
    switch (sortBy.value) {
      case 'actor':
        return 0;
      case 'state':
        return a.state.localeCompare(b.state);
      case 'rate':
        return rateOf(id, b.actor) - rateOf(id, a.actor);
      case 'mailbox':
        return mailboxOf(id, b.actor) - mailboxOf(id, a.actor);
      case 'restarts':
        return b.restarts - a.restarts;
      case 'age':
        return a.bornAtMs - b.bornAtMs;
    }
  };

const recentOf = (id: string): readonly HistoryPoint[] =>
  (nodes.value.get(id)?.history ?? []).slice(-RECENT_POINTS);

/** The fullest over the last few gauges: one look hardly ever finds any waiting. */
const mailboxOf = (id: string, actor: string): number =>
  recentOf(id).reduce((most, { gauges }) => {
    const found = gauges.actors.find((each) => each.actor === actor);
    return Math.max(most, found?.mailbox ?? 0);
  }, 0);

/** Events a second over the last few gauges. */
const rateOf = (id: string, actor: string): number => {
  const points = recentOf(id);
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || first === last) return 0;
  const count = (point: typeof first): number =>
    point.gauges.actors.find((each) => each.actor === actor)?.events ?? 0;
  return Math.max(0, ((count(last) - count(first)) * 1000) / (last.atMs - first.atMs));
};

const eventsOf = ({ node, actor }: Chosen): readonly InspectionRecord[] => {
  const found: InspectionRecord[] = [];
  for (let i = records.length - 1; i >= 0 && found.length < EVENTS_SHOWN; i--) {
    const record = records[i]!;
    if ('seq' in record && record.node === node && record.actor === actor) found.push(record);
  }
  return found;
};

const ActorDetail = ({ picked }: { readonly picked: Chosen }) => {
  const { node, actor } = picked;
  const gauge = nodes.value.get(node)?.gauges.actors.find((each) => each.actor === actor);
  const events = eventsOf(picked);
  const shown = context.value;
  const showContext = (): void => {
    ask<unknown>(node, { type: 'context', actor }).then(
      (found) => (context.value = { of: picked, text: JSON.stringify(found, undefined, 1) }),
      (error: Error) => (context.value = { of: picked, text: error.message }),
    );
  };
  return (
    <Panel
      name="actor"
      title={
        <>
          {actor} on <NodeName id={node} />
        </>
      }
      aside={<button onClick={showContext}>show its context</button>}
    >
      <MachineChart
        machine={actor}
        state={gauge?.state}
        event={events.find(({ type }) => type === 'event')?.what}
      />
      {shown !== undefined && shown.of.node === node && shown.of.actor === actor ? (
        <pre class="context scroll">{shown.text}</pre>
      ) : null}
      <h3 class="pad">Last events</h3>
      {events.length === 0 ? (
        <p class="muted pad">None came while this page was open.</p>
      ) : (
        <ol class="events scroll">
          {events.map((record) => (
            <li key={record.seq} class={record.type}>
              <span class="mono muted">{clockTime(record.atMs)}</span>{' '}
              {record.type === 'state' ? `▸ ${record.what}` : record.what}{' '}
              <span class="muted">{record.type === 'state' ? '' : factsText(record.facts)}</span>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
};

/** In a recording: the state each long-lived actor is in at the playhead. */
const RecordedActors = () => {
  const last = new Map<string, InspectionRecord>();
  for (const record of happened()) {
    if ('seq' in record && record.type === 'state' && !record.actor.includes(' ')) {
      last.set(`${record.node} ${record.actor}`, record);
    }
  }
  if (last.size === 0) return <Empty title="No long-lived actor has been seen by now" />;
  return (
    <Panel name="actors" title="Actors at this moment">
      <div class="charts">
        {[...last.values()].map(({ node, actor, state }) => (
          <div>
            <h3>
              {actor} on <NodeName id={node} />
            </h3>
            <MachineChart machine={actor} state={state} />
          </div>
        ))}
      </div>
    </Panel>
  );
};

/** How the cluster is doing: latencies, event loops, buffers, hints, repair. */
import { signal } from '@preact/signals';
import type { Gauges } from '../records.ts';
import { Empty, NodeName, Panel, duration } from './bits.tsx';
import { Plot } from './plot.tsx';
import type { Measure } from './plot.tsx';
import { memberIds, nodes, recording } from './store.ts';

type Line = { readonly title: string; readonly of: Measure };

const PERCENTILES = ['p50', 'p99', 'p999'] as const;
const percentile = signal<(typeof PERCENTILES)[number]>('p99');
const percentileText = (name: string): string => (name === 'p999' ? 'p99.9' : name);

const latency = (operation: string) => (gauges: Gauges) => {
  const found = gauges.latencies[operation];
  return found === undefined || found.count === 0 ? null : found[percentile.value];
};

const LINES: readonly Line[] = [
  { title: 'get, ms', of: latency('get') },
  { title: 'put, ms', of: latency('put') },
  { title: 'event loop late by at most, ms', of: ({ loopDelay }) => loopDelay.max },
  { title: 'hints kept for others', of: (gauges) => hintsKept(gauges) },
  { title: 'buffered objects', of: ({ status }) => status.buffered },
  { title: 'coordinators alive', of: ({ status }) => status.coordinators },
  { title: 'records repaired by anti-entropy', of: (gauges) => repaired(gauges) },
  { title: 'partitions on the move', of: ({ status: { transfers } }) => transfers.moving },
  { title: 'slices of background work', of: ({ status: { admission } }) => admission.slices },
];

const repaired = ({ status }: Gauges): number =>
  status.repair.reduce((sum, { pulled, pushed }) => sum + pulled + pushed, 0);

const hintsKept = ({ status }: Gauges): number =>
  status.nodes.find(({ id }) => id === status.node)?.hints ?? 0;

export const HealthView = () => {
  if (recording.value !== undefined) {
    return (
      <Empty title="A recording has no gauges">
        It holds requests and events: see the other views.
      </Empty>
    );
  }
  const seen = memberIds.value.flatMap((id) => nodes.value.get(id) ?? []);
  if (seen.length === 0)
    return <Empty title="No gauges yet">Waiting for the first answer of a node.</Empty>;
  const notes = seen.flatMap(({ id, gauges }) => gauges.status.notes.map((note) => ({ id, note })));
  return (
    <div class="health-view">
      {notes.length === 0 ? null : (
        <ul class="notes">
          {notes.map(({ id, note }) => (
            <li>
              <NodeName id={id} /> {note}
            </li>
          ))}
        </ul>
      )}
      <div class="plots">
        {LINES.map((line, i) => (
          <Panel
            name={line.title}
            title={
              i < 2
                ? `${line.title.split(',')[0]} ${percentileText(percentile.value)}, ms`
                : line.title
            }
            aside={
              i === 0 ? (
                <div class="segments" role="group" aria-label="percentile">
                  {PERCENTILES.map((each) => (
                    <button
                      aria-pressed={percentile.value === each}
                      onClick={() => (percentile.value = each)}
                    >
                      {percentileText(each)}
                    </button>
                  ))}
                </div>
              ) : undefined
            }
          >
            <Plot measure={line.of} />
          </Panel>
        ))}
      </div>
      <Panel name="latencies" title="Latencies of the last 5–10 s, from birth to reply">
        <div class="scroll">
          <table class="rows">
            <thead>
              <tr>
                <th>node</th>
                <th>operation</th>
                <th class="number">count</th>
                <th class="number">p50</th>
                <th class="number">p99</th>
                <th class="number">p99.9</th>
              </tr>
            </thead>
            <tbody>
              {seen.flatMap(({ id, gauges }) =>
                Object.entries(gauges.latencies).map(([operation, each]) => (
                  <tr>
                    <td>
                      <NodeName id={id} />
                    </td>
                    <td>{operation}</td>
                    <td class="number mono">{each.count}</td>
                    <td class="number mono">{each.count === 0 ? '–' : duration(each.p50)}</td>
                    <td class="number mono">{each.count === 0 ? '–' : duration(each.p99)}</td>
                    <td class="number mono">{each.count === 0 ? '–' : duration(each.p999)}</td>
                  </tr>
                )),
              )}
            </tbody>
          </table>
        </div>
      </Panel>
      <Panel name="debts" title="Hints and repair">
        <div class="scroll">
          <table class="rows">
            <thead>
              <tr>
                <th>node</th>
                <th>keeps hints for</th>
                <th class="number">siblings seen</th>
                <th class="number">mail dropped</th>
                <th>anti-entropy: with</th>
                <th class="number">rounds</th>
                <th class="number">pulled</th>
                <th class="number">pushed</th>
                <th class="number">differ now</th>
                <th>equal</th>
              </tr>
            </thead>
            {seen.map(({ id, gauges }) => (
              <Debts id={id} gauges={gauges} />
            ))}
          </table>
        </div>
      </Panel>
      <Panel name="admission" title="Background work, and the slices it has">
        <div class="scroll">
          <table class="rows">
            <thead>
              <tr>
                <th>node</th>
                <th>foreground</th>
                <th class="number">slices of 100</th>
                <th>at work now</th>
              </tr>
            </thead>
            <tbody>
              {seen.map(({ id, gauges: { status } }) => (
                <tr>
                  <td>
                    <NodeName id={id} />
                  </td>
                  <td>{status.admission.pressure}</td>
                  <td class="number mono">{Math.round(status.admission.slices)}</td>
                  <td class="muted">
                    {status.admission.tasks
                      .filter(({ active }) => active)
                      .map(({ task, slices }) => `${task} ${Math.round(slices)}`)
                      .join(', ') || 'nothing'}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Panel>
    </div>
  );
};

/** One row for each co-owner it compares its trees with. */
const Debts = ({ id, gauges }: { readonly id: string; readonly gauges: Gauges }) => {
  const { repair, peerMailDropped } = gauges.status;
  const rows = repair.length === 0 ? [undefined] : repair;
  const hints = gauges.hintsByTarget.map(
    ({ target, count, oldestMs }) =>
      `${target}: ${count}${oldestMs === undefined ? '' : `, for ${duration(oldestMs)}`}`,
  );
  return (
    <tbody data-debts={id}>
      {rows.map((report, i) => (
        <tr>
          {i > 0 ? null : (
            <>
              <td rowSpan={rows.length}>
                <NodeName id={id} />
              </td>
              <td rowSpan={rows.length}>{hints.length === 0 ? 'nobody' : hints.join(', ')}</td>
              <td rowSpan={rows.length} class="number mono">
                {gauges.siblingsSeen}
              </td>
              <td rowSpan={rows.length} class="number mono">
                {peerMailDropped}
              </td>
            </>
          )}
          {report === undefined ? (
            <td colSpan={6} class="muted">
              no round yet
            </td>
          ) : (
            <>
              <td>
                <NodeName id={report.peer} />
              </td>
              <td class="number mono">{report.exchanges}</td>
              <td class="number mono">{report.pulled}</td>
              <td class="number mono">{report.pushed}</td>
              <td class="number mono">{report.pending}</td>
              <td class="muted">
                {report.equalSinceMs === undefined
                  ? 'not seen yet'
                  : `${duration(report.equalSinceMs)} ago`}
              </td>
            </>
          )}
        </tr>
      ))}
    </tbody>
  );
};

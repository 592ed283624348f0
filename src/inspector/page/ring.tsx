/** Partitions and their owners, who thinks what of whom, and where one key lives. */
import { Empty, Health, NodeName, Panel } from './bits.tsx';
import { KeyDetail, lookUp, looked, typed } from './key.tsx';
import { RecordedMoment } from './moment.tsx';
import { Legend, Moves, RingDrawing } from './ring-drawing.tsx';
import { SILENT_MS, memberIds, nodes, now, recording, ring, welcome } from './store.ts';

export const Ring = () => {
  if (recording.value !== undefined) {
    return <RecordedMoment />;
  }
  const picture = ring.value;
  if (picture === undefined) {
    return (
      <Empty title="No ring yet">
        The node that serves this page has not told its ring: is it joining?
      </Empty>
    );
  }
  return (
    <div class="split ring-view">
      <Panel
        name="ring"
        title={`${picture.owners.length} partitions, N = ${picture.n}`}
        aside={
          <form
            class="key-form"
            onSubmit={(event) => {
              event.preventDefault();
              void lookUp(typed.value);
            }}
          >
            <input
              class="filter"
              type="search"
              placeholder="type a key, Enter   /"
              aria-label="key to look up"
              value={typed.value}
              onInput={(event) => {
                typed.value = event.currentTarget.value;
                if (typed.value === '') void lookUp('');
              }}
            />
          </form>
        }
      >
        <RingDrawing picture={picture} />
        <Moves picture={picture} />
        <Legend picture={picture} />
      </Panel>
      <div class="column">
        {looked.value === undefined ? <HotKeys /> : <KeyDetail />}
        <Members />
      </div>
    </div>
  );
};

const HotKeys = () => {
  const counts = new Map<string, number>();
  for (const { gauges } of nodes.value.values()) {
    for (const { key, count } of gauges.hotKeys) counts.set(key, (counts.get(key) ?? 0) + count);
  }
  const hot = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 8);
  return (
    <Panel name="hot" title="Hot keys">
      {hot.length === 0 ? (
        <Empty title="No request was seen yet">
          Type a key to see its place, its preference list and what each replica holds.
        </Empty>
      ) : (
        <ul class="hot">
          {hot.map(([key, count]) => (
            <li>
              <button class="key-link" onClick={() => void lookUp(key)}>
                {key}
              </button>
              <span
                class="hot-bar"
                style={{ width: `${Math.max(3, (count / hot[0]![1]) * 45)}%` }}
              />
              <span class="muted">{count}</span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
};

/** Rows believe, columns are believed of: two rows that differ in a column disagree. */
const Members = () => {
  const ids = memberIds.value;
  const silent = (id: string): boolean =>
    now.value - (nodes.value.get(id)?.heardAtMs ?? 0) > SILENT_MS;
  const belief = (from: string, about: string): string =>
    nodes.value.get(from)?.gauges.status.nodes.find(({ id }) => id === about)?.health ?? 'unknown';
  const disputed = (about: string): boolean =>
    new Set(ids.filter((id) => id !== about && !silent(id)).map((id) => belief(id, about))).size >
    1;
  return (
    <Panel name="members" title="Nodes, as each sees the others">
      <div class="scroll">
        <table class="matrix">
          <thead>
            <tr>
              <th>believes ↓ of →</th>
              {ids.map((id) => (
                <th
                  class={disputed(id) ? 'disputed' : ''}
                  title={disputed(id) ? 'they disagree' : ''}
                >
                  <NodeName id={id} />
                  {disputed(id) ? ' ≠' : ''}
                </th>
              ))}
              <th class="number">keeps hints</th>
              <th>ring</th>
            </tr>
          </thead>
          <tbody>
            {ids.map((from) => {
              const seen = nodes.value.get(from);
              const own = seen?.gauges.status.nodes.find(({ id }) => id === from);
              return (
                <tr data-member={from}>
                  <th>
                    <NodeName id={from} />
                    {from === welcome.value?.node ? (
                      <small class="muted">serves this page</small>
                    ) : null}
                  </th>
                  {silent(from) ? (
                    <td colSpan={ids.length + 2}>
                      <Health health="silent" />{' '}
                      {seen === undefined ? 'told nothing yet' : 'tells nothing now'}
                    </td>
                  ) : (
                    <>
                      {ids.map((about) => (
                        <td>
                          {about === from ? (
                            <span class="muted">{own?.state ?? 'joining'}</span>
                          ) : (
                            <Health health={belief(from, about)} />
                          )}
                        </td>
                      ))}
                      <td class="number" data-hints={own?.hints ?? 0}>
                        {own?.hints ?? 0}
                      </td>
                      <td
                        class={`mono ${seen!.gauges.ringVersion === ring.value?.version ? '' : 'disputed'}`}
                      >
                        {seen!.gauges.ringVersion}
                      </td>
                    </>
                  )}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Panel>
  );
};

/** Partitions and their owners, who thinks what of whom, and where one key lives. */
import { computed, signal } from '@preact/signals';
import type { KeyPicture, RingPicture } from '../records.ts';
import { Empty, Health, NodeName, Panel, clockTime } from './bits.tsx';
import { RecordedMoment } from './moment.tsx';
import {
  SILENT_MS,
  ask,
  colourOf,
  memberIds,
  nodes,
  now,
  recording,
  ring,
  welcome,
} from './store.ts';

const SIZE = 520;
const OUTER = 236;
const BAND = 26;
/** More partitions than this are drawn thinned out: an arc must stay wide enough to be seen. */
const ARCS_MAX = 512;

type Replica = { readonly node: string; readonly picture?: KeyPicture; readonly trouble?: string };

const typed = signal('');
/** The partition under the pointer. */
const pointed = signal<number | undefined>(undefined);
const looked = signal<string | undefined>(undefined);
export const replicas = signal<readonly Replica[]>([]);
let lookedUpAt = 0;

/** Asks every node what it knows of `key`; again whenever something was done to it. */
export const lookUp = async (key: string): Promise<void> => {
  typed.value = key;
  looked.value = key === '' ? undefined : key;
  if (key === '') return;
  const turn = ++lookedUpAt;
  const found = await Promise.all(
    memberIds.value.map(async (node): Promise<Replica> => {
      try {
        return { node, picture: await ask<KeyPicture>(node, { type: 'key', key }) };
      } catch (error) {
        return { node, trouble: (error as Error).message };
      }
    }),
  );
  if (turn === lookedUpAt) replicas.value = found;
};

export const refreshKey = (): void => {
  if (looked.value !== undefined) void lookUp(looked.value);
};

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

/** The arcs change only with the ring. */
const arcs = computed(() => {
  const picture = ring.value;
  if (picture === undefined) return [];
  const count = Math.min(ARCS_MAX, picture.owners.length);
  const step = picture.owners.length / count;
  return Array.from({ length: count }, (_, i) => {
    const owners = picture.owners[Math.floor(i * step)]!;
    return owners.map((owner, rank) => (
      <path
        key={`${i} ${rank}`}
        class={`arc ${colourOf(picture.members[owner]!.id)}`}
        d={arcPath(i / count, (i + 1) / count, OUTER - rank * BAND, OUTER - rank * BAND - BAND + 3)}
      />
    ));
  });
});

const point = (turn: number, radius: number): string => {
  const angle = (turn - 0.25) * 2 * Math.PI;
  return `${(SIZE / 2 + Math.cos(angle) * radius).toFixed(2)} ${(SIZE / 2 + Math.sin(angle) * radius).toFixed(2)}`;
};

const arcPath = (from: number, to: number, outer: number, inner: number): string => {
  const gap = (to - from) * 0.06;
  const [a, b] = [from + gap, to - gap];
  return `M${point(a, outer)}A${outer} ${outer} 0 0 1 ${point(b, outer)}L${point(b, inner)}A${inner} ${inner} 0 0 0 ${point(a, inner)}Z`;
};

/** Ticks outside the ring, in the colours of the newcomers. */
const moveMarks = computed(() => {
  const picture = ring.value;
  if (picture === undefined) return [];
  const total = picture.owners.length;
  return picture.moving.map(({ partition, arriving, leaving }) => {
    const who = arriving[0] ?? leaving[0];
    return (
      <path
        key={partition}
        class={`arc ${colourOf(who === undefined ? undefined : picture.members[who]!.id)}`}
        d={arcPath(partition / total, (partition + 1) / total, OUTER + 16, OUTER + 7)}
      />
    );
  });
});

const pointAt = (event: PointerEvent, total: number): void => {
  const box = (event.currentTarget as Element).getBoundingClientRect();
  const [x, y] = [
    (event.clientX - box.left) / box.width - 0.5,
    (event.clientY - box.top) / box.height - 0.5,
  ];
  const radius = Math.hypot(x, y) * SIZE;
  const turn = (Math.atan2(y, x) / (2 * Math.PI) + 1.25) % 1;
  pointed.value = radius < 90 || radius > OUTER + 18 ? undefined : Math.floor(turn * total);
};

const RingDrawing = ({ picture }: { readonly picture: RingPicture }) => {
  const found = replicas.value.find((each) => each.picture !== undefined)?.picture;
  const marked = looked.value === undefined ? undefined : found;
  const total = picture.owners.length;
  const turn = marked === undefined ? 0 : parseInt(marked.position.slice(0, 8), 16) / 2 ** 32;
  const under = pointed.value;
  const owners = under === undefined ? undefined : picture.owners[under];
  return (
    <svg
      class="ring"
      viewBox={`0 0 ${SIZE} ${SIZE}`}
      role="img"
      aria-label={`the ring of ${total} partitions`}
      onPointerMove={(event) => pointAt(event, total)}
      onPointerLeave={() => (pointed.value = undefined)}
    >
      <g class={marked === undefined ? '' : 'dimmed'}>{arcs.value}</g>
      <g>{moveMarks.value}</g>
      {owners !== undefined ? (
        <g class="ring-centre">
          <text x={SIZE / 2} y={SIZE / 2 - 22} class="big">
            partition {under}
          </text>
          <text x={SIZE / 2} y={SIZE / 2 + 4}>
            {owners.map((owner) => picture.members[owner]!.id).join(', ')}
          </text>
          <text x={SIZE / 2} y={SIZE / 2 + 28} class="muted">
            from {(under! * (2 ** 32 / total)).toString(16).padStart(8, '0')}…
          </text>
        </g>
      ) : marked === undefined ? (
        <g class="ring-centre">
          <text x={SIZE / 2} y={SIZE / 2 - 14}>
            outer ring: first owner
          </text>
          <text x={SIZE / 2} y={SIZE / 2 + 8}>
            inner rings: the replicas
          </text>
          <text x={SIZE / 2} y={SIZE / 2 + 34} class="muted">
            ring {picture.version}
          </text>
        </g>
      ) : (
        <g>
          {picture.owners[marked.partition]!.map((owner, rank) => (
            <path
              class={`arc ${colourOf(picture.members[owner]!.id)} marked`}
              d={arcPath(
                marked.partition / total,
                (marked.partition + 1) / total,
                OUTER - rank * BAND + 4,
                OUTER - rank * BAND - BAND + 3,
              )}
            />
          ))}
          <path class="needle" d={`M${point(turn, 96)}L${point(turn, OUTER + 10)}`} />
          <circle
            class="needle-head"
            cx={point(turn, OUTER + 12).split(' ')[0]}
            cy={point(turn, OUTER + 12).split(' ')[1]}
            r="5"
          />
          <g class="ring-centre">
            <text x={SIZE / 2} y={SIZE / 2 - 18} class="big">
              {shortened(marked.key)}
            </text>
            <text x={SIZE / 2} y={SIZE / 2 + 6}>
              partition {marked.partition}
            </text>
            <text x={SIZE / 2} y={SIZE / 2 + 28} class="muted">
              MD5 {marked.position.slice(0, 12)}…
            </text>
          </g>
        </g>
      )}
    </svg>
  );
};

/** What moves, and how far each node has come. */
const Moves = ({ picture }: { readonly picture: RingPicture }) => {
  const { moving, members } = picture;
  const working = memberIds.value.flatMap((id) => {
    const status = nodes.value.get(id)?.gauges.status;
    return status === undefined ? [] : [{ id, ...status.transfers, incomplete: status.incomplete }];
  });
  const busy = working.filter(
    ({ arriving, departing, incomplete }) => arriving + departing + incomplete > 0,
  );
  if (moving.length === 0 && busy.length === 0) {
    return (
      <p class="moves muted" data-moving="0">
        No partition is on the move.
      </p>
    );
  }
  return (
    <div class="moves" data-moving={moving.length}>
      <p>
        {moving.length === 0 ? (
          'Every partition is where the plan wants it.'
        ) : (
          <>
            <b>{moving.length}</b> of {picture.owners.length} partitions are on the move
            <span class="muted"> (marked outside the ring)</span>
          </>
        )}
      </p>
      <ul>
        {busy.map(({ id, arriving, departing, incomplete, recordsGiven }) => (
          <li>
            <NodeName id={id} />{' '}
            {[
              arriving > 0 ? `pulls ${arriving}` : '',
              incomplete > 0 ? `refills ${incomplete}` : '',
              departing > 0 ? `gives ${departing} away, ${recordsGiven} records so far` : '',
            ]
              .filter((part) => part !== '')
              .join(', ')}
          </li>
        ))}
      </ul>
      <p class="muted">
        {moving
          .slice(0, 6)
          .map(({ partition, version, arriving, leaving }) => {
            const name = (index: number) => members[index]!.id;
            const parts = [
              ...arriving.map((i) => `+${name(i)}`),
              ...leaving.map((i) => `−${name(i)}`),
            ];
            return `${partition} v${version}: ${parts.join(' ')}`;
          })
          .join(' · ')}
        {moving.length > 6 ? ' · …' : ''}
      </p>
    </div>
  );
};

const shortened = (key: string): string => (key.length > 18 ? `${key.slice(0, 17)}…` : key);

const Legend = ({ picture }: { readonly picture: RingPicture }) => (
  <ul class="legend">
    {picture.members.map(({ id, zone }, index) => {
      const owned = picture.owners.filter((owners) => owners.includes(index)).length;
      const first = picture.owners.filter(([owner]) => owner === index).length;
      return (
        <li>
          <NodeName id={id} /> <span class="muted">zone {zone}</span> {owned} partitions, first in{' '}
          {first}
        </li>
      );
    })}
  </ul>
);

const KeyDetail = () => {
  const found = replicas.value;
  const first = found.find(({ picture }) => picture !== undefined)?.picture;
  if (first === undefined) {
    return (
      <Panel name="key" title={looked.value}>
        <Empty title="Nobody could tell">{found[0]?.trouble ?? 'Asking every node…'}</Empty>
      </Panel>
    );
  }
  const holding = found.filter(({ picture }) => picture?.held === 'record');
  const dotsOf = ({ picture }: Replica): string =>
    (picture?.siblings ?? []).map(({ dot }) => dot).join();
  const owners = first.preference.filter(({ role }) => role === 'owner').map(({ node }) => node);
  const ownerDots = new Set(
    found.filter(({ node, picture }) => owners.includes(node) && picture !== undefined).map(dotsOf),
  );
  return (
    <Panel
      name="key"
      title={<code>{first.key}</code>}
      aside={
        <>
          <span class={`tag ${ownerDots.size > 1 ? 'failed' : 'ok'}`}>
            {holding.length === 0
              ? 'never written'
              : ownerDots.size > 1
                ? 'replicas differ'
                : 'replicas agree'}
          </span>
          <button onClick={refreshKey}>look again</button>
        </>
      }
    >
      <ol class="preference" aria-label="preference list">
        {first.preference.map(({ node, role, health }, rank) => (
          <li class={role}>
            <span class="muted">{rank + 1}</span> <NodeName id={node} /> {role}{' '}
            <Health health={health} />
          </li>
        ))}
      </ol>
      <div class="replicas">
        {found.map((replica) => (
          <ReplicaCard replica={replica} owner={owners.includes(replica.node)} />
        ))}
      </div>
    </Panel>
  );
};

const ReplicaCard = ({
  replica,
  owner,
}: {
  readonly replica: Replica;
  readonly owner: boolean;
}) => {
  const { node, picture, trouble } = replica;
  return (
    <div class={`replica ${colourOf(node)}`} data-replica={node}>
      <h3>
        <NodeName id={node} /> <span class="muted">{owner ? 'owner' : 'no owner'}</span>
      </h3>
      {trouble === undefined ? null : <p class="muted">{trouble}</p>}
      {picture?.held === 'nothing' ? <p class="muted">holds nothing</p> : null}
      {picture?.held === 'damaged' ? <p class="tag failed">damaged, waits for repair</p> : null}
      {(picture?.siblings ?? []).map(({ dot, kind, bytes, text, writtenAt }) => (
        <div class="sibling" data-dot={dot}>
          <code class="dot" title={dot}>
            {shortDot(dot)}
          </code>{' '}
          {kind === 'value' ? text === undefined ? `${bytes} bytes` : <q>{text}</q> : kind}
          <span class="muted"> {clockTime(writtenAt)}</span>
        </div>
      ))}
      {(picture?.siblings.length ?? 0) > 1 ? (
        <p class="tag siblings">{picture!.siblings.length} siblings</p>
      ) : null}
      {(picture?.hintsFor.length ?? 0) > 0 ? (
        <p class="tag slow">hint for {picture!.hintsFor.join(', ')}</p>
      ) : null}
    </div>
  );
};

/** A dot is (start of the process, birth, counter); its ends tell dots apart. */
const shortDot = (dot: string): string => {
  const [actor = '', n] = dot.split(':');
  return `${actor.slice(0, 6)}…${actor.slice(-2)}:${n}`;
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

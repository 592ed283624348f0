/** The ring as it is drawn: partitions in the colours of their owners, moves, and where a key lies. */
import { computed, signal } from '@preact/signals';
import type { RingPicture } from '../records.ts';
import { NodeName } from './bits.tsx';
import { looked, replicas } from './key.tsx';
import { colourOf, memberIds, nodes, ring } from './store.ts';

const SIZE = 520;
const OUTER = 236;
const BAND = 26;
/** More partitions than this are drawn thinned out: an arc must stay wide enough to be seen. */
const ARCS_MAX = 512;

/** The partition under the pointer. */
const pointed = signal<number | undefined>(undefined);

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

export const RingDrawing = ({ picture }: { readonly picture: RingPicture }) => {
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
export const Moves = ({ picture }: { readonly picture: RingPicture }) => {
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

export const Legend = ({ picture }: { readonly picture: RingPicture }) => (
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

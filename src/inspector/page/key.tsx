/** One key: its preference list, and what every replica holds of it. */
import { signal } from '@preact/signals';
import type { KeyPicture } from '../records.ts';
import { Empty, Health, NodeName, Panel, clockTime } from './bits.tsx';
import { ask, colourOf, memberIds } from './store.ts';

type Replica = { readonly node: string; readonly picture?: KeyPicture; readonly trouble?: string };

export const typed = signal('');
export const looked = signal<string | undefined>(undefined);
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

export const KeyDetail = () => {
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

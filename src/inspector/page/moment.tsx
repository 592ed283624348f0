/** A recorded cluster at one moment: who lives, what its actors do, which requests are under way. */
import type { InspectionRecord } from '../records.ts';
import { NodeName, Panel, clockTime, shortActor } from './bits.tsx';
import { selectStory } from './story.tsx';
import { happened, memberIds, stories } from './store.ts';
import { show } from './views.ts';

type NodeThen = {
  alive: boolean;
  life: number;
  readonly states: Map<string, string>;
  /** Coordinators born and not yet buried, with their causes. */
  readonly requests: Map<string, string | undefined>;
};

const WORLD_SHOWN = 14;

export const RecordedMoment = () => {
  const then = new Map<string, NodeThen>();
  const world: InspectionRecord[] = [];
  for (const id of memberIds.value) {
    then.set(id, { alive: false, life: 0, states: new Map(), requests: new Map() });
  }
  for (const record of happened()) {
    if (!('seq' in record)) continue;
    const node = then.get(record.node);
    if (record.actor === 'world') {
      world.push(record);
      if (node !== undefined && /^n\d+ (?:starts|dies|fails|stops)/.test(record.what))
        begin(node, record.what);
    } else if (node !== undefined) follow(node, record);
  }
  return (
    <div class="split">
      <div class="moment-nodes">
        {[...then].map(([id, node]) => (
          <NodeCard id={id} node={node} />
        ))}
      </div>
      <Panel name="world" title="What befell the cluster">
        {world.length === 0 ? <p class="muted pad">Nothing yet.</p> : null}
        <ol class="events pad">
          {world
            .slice(-WORLD_SHOWN)
            .reverse()
            .map(({ atMs, what }) => (
              <li>
                <span class="mono muted">{clockTime(atMs)}</span> {what}
              </li>
            ))}
        </ol>
      </Panel>
    </div>
  );
};

/** A life begins or ends: nothing of the former one is there any more. */
const begin = (node: NodeThen, what: string): void => {
  node.alive = what.includes('starts');
  if (node.alive) node.life += 1;
  node.states.clear();
  node.requests.clear();
};

const follow = (node: NodeThen, { type, actor, state, cause }: InspectionRecord): void => {
  node.alive = true;
  const isRequest = actor.includes(' ');
  if (isRequest && type === 'born') node.requests.set(actor, cause);
  else if (isRequest && type === 'ended') node.requests.delete(actor);
  else if (!isRequest && type === 'state') node.states.set(actor, state ?? '');
};

const NodeCard = ({ id, node }: { readonly id: string; readonly node: NodeThen }) => (
  <Panel
    name={`moment ${id}`}
    title={<NodeName id={id} />}
    aside={
      <span class={`tag ${node.alive ? 'ok' : 'failed'}`}>
        {node.alive ? `life ${node.life}` : 'dead'}
      </span>
    }
  >
    <dl class="states">
      {[...node.states]
        .filter(([actor]) => actor !== 'node')
        .map(([actor, state]) => (
          <>
            <dt>{actor}</dt>
            <dd>▸ {state}</dd>
          </>
        ))}
      {[...node.requests].slice(0, 6).map(([actor, cause]) => (
        <>
          <dt>
            <button
              class="key-link"
              onClick={() => {
                selectStory(cause);
                show('requests');
              }}
            >
              {shortActor(actor)}
            </button>
          </dt>
          <dd>{stories.get(cause ?? '')?.summary?.key ?? ''}</dd>
        </>
      ))}
    </dl>
  </Panel>
);

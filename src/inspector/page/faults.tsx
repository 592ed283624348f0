/** What may go wrong, at the push of a button: links, disks, clocks and processes of a local cluster. */
import { signal } from '@preact/signals';
import type { Fault, FaultsView, Operation } from '../records.ts';
import { Empty, NodeName, Panel } from './bits.tsx';
import { breakIt, nextId, operate, processes, serving, trouble } from './hands.ts';
import type { Written } from './hands.ts';
import { selectStory } from './story.tsx';
import { memberIds, nodes, recording, stories, welcome } from './store.ts';
import { SceneList } from './tour.tsx';
import { show } from './views.ts';

const DELAYS = [0, 20, 100, 500] as const;
const SKEWS = [
  [0, 'right'],
  [60_000, '1 min ahead'],
  [-60_000, '1 min behind'],
  [3_600_000, '1 h ahead'],
  [-3_600_000, '1 h behind'],
] as const;

const answer = signal<Written | undefined>(undefined);
const draft = signal({ key: 'cart:alice', value: 'milk', node: '' });

const faultsOf = (id: string): FaultsView | undefined => nodes.value.get(id)?.gauges.faults;

export const Faults = () => {
  if (recording.value !== undefined) {
    return <Empty title="A recording cannot be broken">It holds what has happened.</Empty>;
  }
  if (welcome.value?.mayFault !== true) {
    return (
      <Empty title="Faults are off on this node">
        <code>npm start</code> allows them, and <code>coterie cluster --allow-faults</code>. Never
        where the data matters.
      </Empty>
    );
  }
  const ids = memberIds.value;
  return (
    <div class="split faults-view">
      <div class="column">
        <Panel name="processes" title="Nodes">
          {trouble.value === undefined ? null : (
            <p class="note" role="alert">
              {trouble.value}
            </p>
          )}
          <div class="scroll">
            <table class="matrix">
              <thead>
                <tr>
                  <th>node</th>
                  <th>process</th>
                  <th />
                  <th>syncs of its disk</th>
                  <th>its clock is</th>
                </tr>
              </thead>
              <tbody>
                {ids.map((id) => (
                  <NodeRow id={id} />
                ))}
              </tbody>
            </table>
          </div>
          <p class="pad">
            <button onClick={() => void run(serving(), { type: 'add', node: nextId() })}>
              start {nextId()} and let it join
            </button>
          </p>
        </Panel>
        <Panel name="links" title="Links between nodes">
          <Links ids={ids} />
        </Panel>
      </div>
      <div class="column">
        <Panel name="scenes" title="Guided tour: five scenes on this cluster">
          <SceneList />
        </Panel>
        <Panel name="write" title="One request, recorded on every node it touches">
          <RequestForm ids={ids} />
        </Panel>
      </div>
    </div>
  );
};

/** The panel shows a refusal by itself. */
const run = (node: string, fault: Fault): Promise<void> =>
  breakIt(node, fault).catch(() => undefined);

const NodeRow = ({ id }: { readonly id: string }) => {
  const state = processes().find((each) => each.id === id)?.state;
  const own = id === serving();
  const faults = faultsOf(id);
  const process = (type: 'kill' | 'pause' | 'resume' | 'restart' | 'wipe') => () =>
    void run(serving(), { type, node: id });
  const notHere = own ? 'it serves this page: open it at another node' : undefined;
  const dead = state === 'dead';
  return (
    <tr data-process={id} data-state={state}>
      <th>
        <NodeName id={id} />
      </th>
      <td>
        <span class={`tag ${dead ? 'failed' : state === 'running' ? 'ok' : 'slow'}`}>
          {state ?? 'not ours'}
        </span>
      </td>
      <td>
        <span class="buttons">
          {dead ? (
            <button class="primary" onClick={process('restart')}>
              start
            </button>
          ) : (
            <button
              class="danger"
              disabled={own || state === undefined}
              title={notHere}
              onClick={process('kill')}
            >
              kill
            </button>
          )}
          {state === 'paused' ? (
            <button class="primary" onClick={process('resume')}>
              resume
            </button>
          ) : (
            <button
              disabled={own || state !== 'running'}
              title={notHere ?? 'SIGSTOP: alive, and silent'}
              onClick={process('pause')}
            >
              pause
            </button>
          )}
          <button
            disabled={state !== 'running'}
            title="SIGKILL, then start on the same data"
            onClick={process('restart')}
          >
            restart
          </button>
          <button
            class="danger"
            disabled={own || state === undefined}
            title={notHere ?? 'kill it, empty its disk, start it'}
            onClick={process('wipe')}
          >
            wipe
          </button>
        </span>
      </td>
      <td>
        <select
          aria-label={`disk of ${id}`}
          disabled={faults === undefined || dead}
          value={String(faults?.diskDelayMs ?? 0)}
          onChange={({ currentTarget }) =>
            void run(id, { type: 'slow-disk', delayMs: Number(currentTarget.value) })
          }
        >
          {DELAYS.map((delayMs) => (
            <option value={String(delayMs)}>
              {delayMs === 0 ? 'as fast as it is' : `${delayMs} ms later`}
            </option>
          ))}
        </select>
      </td>
      <td>
        <select
          aria-label={`clock of ${id}`}
          disabled={faults === undefined || dead}
          value={String(faults?.skewMs ?? 0)}
          onChange={({ currentTarget }) =>
            void run(id, { type: 'skew', skewMs: Number(currentTarget.value) })
          }
        >
          {SKEWS.map(([skewMs, label]) => (
            <option value={String(skewMs)}>{label}</option>
          ))}
        </select>
      </td>
    </tr>
  );
};

/** A cut is made at one end and works both ways. */
const Links = ({ ids }: { readonly ids: readonly string[] }) => {
  const pairs = ids.flatMap((a, i) => ids.slice(i + 1).map((b) => [a, b] as const));
  if (pairs.length === 0) return <Empty title="One node has no links" />;
  return (
    <ul class="links">
      {pairs.map(([a, b]) => {
        const cutAt = [a, b].filter((id) => faultsOf(id)?.cutTo.includes(id === a ? b : a));
        const cut = cutAt.length > 0;
        const toggle = (): void => {
          // Where this page is served, so that it can be healed from here.
          const at = cut ? cutAt : [b === serving() ? b : a];
          for (const id of at) {
            void run(id, { type: cut ? 'heal' : 'cut', peer: id === a ? b : a });
          }
        };
        return (
          <li data-link-of={`${a} ${b}`} class={cut ? 'cut' : ''}>
            <NodeName id={a} />
            <span class="wire" aria-hidden="true">
              {cut ? '──✕──' : '─────'}
            </span>
            <NodeName id={b} />
            <button aria-pressed={cut} onClick={toggle}>
              {cut ? 'heal' : 'cut'}
            </button>
          </li>
        );
      })}
    </ul>
  );
};

const RequestForm = ({ ids }: { readonly ids: readonly string[] }) => {
  const { key, value, node } = draft.value;
  const at = ids.includes(node) ? node : serving();
  const seen = answer.value;
  const change = (part: Partial<typeof draft.value>): void => {
    draft.value = { ...draft.value, ...part };
  };
  const send = (operation: Operation): void => {
    operate(at, operation).then(
      (written) => (answer.value = written),
      (error: Error) => (trouble.value = `${at}: ${error.message}`),
    );
  };
  return (
    <form
      class="request-form"
      onSubmit={(event) => {
        event.preventDefault();
        const context = seen?.type === 'value' ? seen.context : undefined;
        send({ type: 'put', key, value, ...(context === undefined ? {} : { context }) });
      }}
    >
      <label>
        key
        <input value={key} onInput={({ currentTarget }) => change({ key: currentTarget.value })} />
      </label>
      <label>
        value
        <input
          value={value}
          onInput={({ currentTarget }) => change({ value: currentTarget.value })}
        />
      </label>
      <label>
        at
        <select value={at} onChange={({ currentTarget }) => change({ node: currentTarget.value })}>
          {ids.map((id) => (
            <option>{id}</option>
          ))}
        </select>
      </label>
      <span class="buttons">
        <button type="button" onClick={() => send({ type: 'get', key })}>
          get
        </button>
        <button class="primary">{seen?.type === 'value' ? 'put with what was read' : 'put'}</button>
      </span>
      {seen === undefined ? null : <Answered written={seen} />}
    </form>
  );
};

const Answered = ({ written }: { readonly written: Written }) => {
  const { type, code, message, values, siblings, cause } = written;
  return (
    <output>
      <span class={`tag ${type === 'failed' ? 'failed' : 'ok'}`}>{code ?? type}</span>{' '}
      {message ?? ''}
      {values === undefined
        ? siblings === undefined
          ? ''
          : `${siblings} values`
        : values.map((each) => <q>{each}</q>)}{' '}
      <button
        type="button"
        disabled={!stories.has(cause)}
        onClick={() => {
          selectStory(cause);
          show('requests');
        }}
      >
        show its steps
      </button>
    </output>
  );
};

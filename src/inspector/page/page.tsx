/** The inspector's page: a bar with the nodes, the views, and what the keyboard does. */
import { signal } from '@preact/signals';
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Recording } from '../records.ts';
import { Actors } from './actors.tsx';
import { NodeName } from './bits.tsx';
import { HealthView } from './health.tsx';
import { Log } from './log.tsx';
import { Requests } from './requests.tsx';
import { selectStory, selectedCause } from './story.tsx';
import { Ring } from './ring.tsx';
import { Faults } from './faults.tsx';
import { Timeline } from './timeline.tsx';
import { TourCard, closeTour, openTour, tour } from './tour.tsx';
import { VIEWS, show, view } from './views.ts';
import {
  SILENT_MS,
  closeRecording,
  connect,
  link,
  memberIds,
  nodes,
  now,
  openRecording,
  recording,
  sampleEvery,
  watch,
  welcome,
} from './store.ts';

const RATES = [
  [1, 'record all'],
  [10, '1 in 10'],
  [100, '1 in 100'],
  [0, 'only odd ones'],
] as const;

const helping = signal(false);
const theme = signal(localStorage.getItem('coterie.theme') ?? 'system');
const trouble = signal<string | undefined>(undefined);

const Page = () => {
  useEffect(() => {
    document.documentElement.dataset['theme'] = theme.value;
  });
  return (
    <>
      <Bar />
      <Banner />
      <Timeline />
      <main data-view={view.value}>
        {view.value === 'ring' ? <Ring /> : null}
        {view.value === 'requests' ? <Requests /> : null}
        {view.value === 'actors' ? <Actors /> : null}
        {view.value === 'health' ? <HealthView /> : null}
        {view.value === 'log' ? <Log /> : null}
        {view.value === 'faults' ? <Faults /> : null}
      </main>
      <TourCard />
      {helping.value ? <Help /> : null}
    </>
  );
};

const Bar = () => (
  <header class="top">
    <h1>
      <img src="/inspector/icon.svg" alt="" width="22" height="22" />
      coterie
    </h1>
    <nav aria-label="views">
      {VIEWS.map((each, i) => (
        <button
          data-view-button={each}
          aria-current={view.value === each ? 'page' : undefined}
          onClick={() => show(each)}
          title={`key ${i + 1}`}
        >
          {each}
        </button>
      ))}
    </nav>
    <ul class="chips" aria-label="nodes">
      {memberIds.value.map((id) => (
        <Chip id={id} />
      ))}
    </ul>
    <div class="tools">
      {welcome.value?.mayFault === true && recording.value === undefined ? (
        <button aria-pressed={tour.value !== undefined} onClick={() => openTour()} title="key t">
          tour
        </button>
      ) : null}
      <select
        aria-label="which requests are recorded"
        value={String(sampleEvery.value)}
        onChange={(event) => watch(Number(event.currentTarget.value))}
      >
        {RATES.map(([every, label]) => (
          <option value={String(every)}>{label}</option>
        ))}
      </select>
      <label
        class="button"
        title="a file of coterie simulate --inspect, or of the log's JSON button"
      >
        open…
        <input
          type="file"
          accept=".json,application/json"
          onChange={(event) => void open(event.currentTarget)}
        />
      </label>
      <button aria-label="dark or light" onClick={turnTheme} title="dark or light">
        {theme.value === 'light' ? '☀' : theme.value === 'dark' ? '☾' : '◐'}
      </button>
      <button aria-label="help" onClick={() => (helping.value = !helping.value)} title="key ?">
        ?
      </button>
    </div>
  </header>
);

const Chip = ({ id }: { readonly id: string }) => {
  const seen = nodes.value.get(id);
  const silent = recording.value === undefined && now.value - (seen?.heardAtMs ?? 0) > SILENT_MS;
  const own = seen?.gauges.status.nodes.find((each) => each.id === id);
  return (
    <li
      class={silent ? 'silent' : ''}
      data-chip={id}
      title={silent ? 'tells nothing' : (own?.state ?? '')}
    >
      <NodeName id={id} />
      {silent ? <span class="muted"> silent</span> : null}
      {(own?.hints ?? 0) > 0 && !silent ? <span class="tag slow">{own!.hints} hints</span> : null}
    </li>
  );
};

const Banner = () => {
  const replayed = recording.value;
  if (replayed !== undefined) {
    return (
      <div class="banner" role="status">
        Recording: {replayed.title}.
        {replayed.broken === undefined ? '' : ` Broken: ${replayed.broken.message}`}
        {location.search === '?recording' ? null : (
          <button onClick={closeRecording}>back to the live cluster</button>
        )}
      </div>
    );
  }
  if (trouble.value !== undefined) {
    return (
      <div class="banner bad" role="alert">
        {trouble.value} <button onClick={() => (trouble.value = undefined)}>close</button>
      </div>
    );
  }
  if (link.value === 'connected') return null;
  return (
    <div class="banner bad" role="status" data-link={link.value}>
      {link.value === 'connecting'
        ? 'Connecting…'
        : `${welcome.value?.node ?? 'The node that served this page'} does not answer. Trying again; another node's inspector shows the same cluster.`}
    </div>
  );
};

const open = async (input: HTMLInputElement): Promise<void> => {
  const [file] = input.files ?? [];
  if (file === undefined) return;
  try {
    begin(JSON.parse(await file.text()) as Recording);
  } catch (error) {
    trouble.value = `${file.name} cannot be opened: ${(error as Error).message}`;
  }
  input.value = '';
};

/** At the moment an invariant broke, with the last request of the key that broke it. */
const begin = (opened: Recording): void => {
  if (opened.format !== 'coterie recording 1') throw new Error('it is no coterie recording');
  openRecording(opened);
  const { broken } = opened;
  const guilty =
    broken &&
    opened.stories.findLast(({ key, bornAtMs }) => key === broken.key && bornAtMs <= broken.atMs);
  selectStory(guilty?.cause);
  show(guilty === undefined ? 'ring' : 'requests');
};

/** `coterie inspect` serves a recording beside the page. */
const fetchRecording = async (): Promise<void> => {
  try {
    const response = await fetch('/inspector/recording.json');
    begin((await response.json()) as Recording);
  } catch (error) {
    trouble.value = `the recording cannot be opened: ${(error as Error).message}`;
  }
};

const turnTheme = (): void => {
  const next = { system: 'light', light: 'dark', dark: 'system' }[theme.value] ?? 'system';
  theme.value = next;
  localStorage.setItem('coterie.theme', next);
};

const Help = () => (
  <dialog open class="help" aria-label="help">
    <h2>Keyboard</h2>
    <dl>
      <dt>1 – {VIEWS.length}</dt>
      <dd>views</dd>
      <dt>/</dt>
      <dd>filter or key</dd>
      <dt>↑ ↓ Enter</dt>
      <dd>rows</dd>
      <dt>← →</dt>
      <dd>steps of an open request</dd>
      <dt>t</dt>
      <dd>guided tour, where faults are allowed</dd>
      <dt>Esc</dt>
      <dd>close</dd>
    </dl>
    <h2>Signs</h2>
    <p>
      ● healthy · ◐ suspect · ✕ down, each as one node believes it · ≠ nodes disagree · ▸ the state
      a machine is in · ◔ a timer fired
    </p>
    <button onClick={() => (helping.value = false)}>close</button>
  </dialog>
);

document.addEventListener('keydown', (event) => {
  const target = event.target as HTMLElement;
  const typing = target.matches('input:not([type=range]), select, textarea');
  if (event.key === 'Escape') {
    if (typing) target.blur();
    if (helping.value) helping.value = false;
    else if (tour.value !== undefined) closeTour();
    else selectStory(undefined);
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const numbered = VIEWS[Number(event.key) - 1];
  if (numbered !== undefined) show(numbered);
  else if (event.key === 't' && welcome.value?.mayFault === true) openTour();
  else if (event.key === '?') helping.value = !helping.value;
  else if (event.key === '/') {
    document.querySelector<HTMLInputElement>('main .filter')?.focus();
    event.preventDefault();
  } else if (selectedCause.value !== undefined && target.matches(':not([type=range])')) {
    const which = { ArrowLeft: 'step back', ArrowRight: 'step forward' }[event.key];
    if (which !== undefined) {
      document.querySelector<HTMLButtonElement>(`.scrubber [aria-label="${which}"]`)?.click();
    }
  }
});

if (location.search === '?recording') void fetchRecording();
else connect();
render(<Page />, document.getElementById('page')!);

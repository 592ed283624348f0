/** The guided tour: scenes that play on the live cluster, step by step, beside the view they change. */
import { signal } from '@preact/signals';
import { SCENES } from './scenes.ts';
import type { Step } from './scenes.ts';

type Phase = 'doing' | 'ready' | 'failed';
type Playing = {
  /** Index of a scene; undefined: the list of scenes. */
  readonly scene: number | undefined;
  readonly steps: readonly Step[];
  readonly step: number;
  readonly phase: Phase;
  readonly trouble?: string;
};

const PATIENCE_MS = 60_000;
const LOOK_MS = 250;
const CHOOSING: Playing = { scene: undefined, steps: [], step: 0, phase: 'ready' };

export const tour = signal<Playing | undefined>(undefined);
/** Counts up with every step begun: what an abandoned step still does changes nothing. */
let turn = 0;

export const openTour = (): void => {
  if (tour.value === undefined) tour.value = CHOOSING;
  else closeTour();
};

export const closeTour = (): void => {
  turn += 1;
  tour.value = undefined;
};

export const playScene = (scene: number): void => begin(scene, SCENES[scene]!.steps(), 0);

const begin = (scene: number, steps: readonly Step[], step: number): void => {
  const mine = ++turn;
  const at = { scene, steps, step };
  tour.value = { ...at, phase: 'doing' };
  const { act, until } = steps[step]!;
  const settle = (phase: Phase, trouble?: string): void => {
    if (mine !== turn) return;
    tour.value = { ...at, phase, ...(trouble === undefined ? {} : { trouble }) };
  };
  const wait = async (): Promise<void> => {
    await act?.();
    const deadline = Date.now() + PATIENCE_MS;
    while (until !== undefined && !until()) {
      if (mine !== turn) return;
      if (Date.now() > deadline) throw new Error('this has taken a minute; the log may say why');
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  };
  wait().then(
    () => settle('ready'),
    (error: Error) => settle('failed', error.message),
  );
};

export const SceneList = () => (
  <ol class="scenes">
    {SCENES.map(({ title, about }, scene) => (
      <li>
        <button onClick={() => playScene(scene)} data-scene={scene}>
          <b>{title}</b>
          <span class="muted">{about}</span>
        </button>
      </li>
    ))}
  </ol>
);

export const TourCard = () => {
  const playing = tour.value;
  if (playing === undefined) return null;
  const { scene, steps, step, phase, trouble } = playing;
  const found = scene === undefined ? undefined : SCENES[scene];
  const last = step >= steps.length - 1;
  const next = SCENES[(scene ?? 0) + 1];
  return (
    <section class="tour" aria-label="guided tour" data-phase={phase}>
      <header>
        <h2>{found?.title ?? 'Five scenes on this cluster'}</h2>
        <button aria-label="end the tour" onClick={closeTour}>
          ✕
        </button>
      </header>
      {scene === undefined ? (
        <SceneList />
      ) : (
        <>
          <p aria-live="polite">{steps[step]!.say()}</p>
          {phase === 'failed' ? <p class="note">{trouble}</p> : null}
          <footer>
            <span class="muted" data-step-of={step}>
              {phase === 'doing' ? <i class="spinner" aria-hidden="true" /> : null}
              {step + 1} of {steps.length}
              {phase === 'doing' ? `, ${steps[step]!.waits ?? 'under way'}` : ''}
            </span>
            <span class="buttons">
              <button onClick={() => (tour.value = CHOOSING)}>scenes</button>
              {phase === 'failed' ? (
                <button onClick={() => begin(scene, steps, step)}>again</button>
              ) : null}
              {last ? (
                next === undefined ? null : (
                  <button
                    class="primary"
                    disabled={phase === 'doing'}
                    onClick={() => playScene(scene + 1)}
                  >
                    next scene
                  </button>
                )
              ) : (
                <button
                  class="primary"
                  disabled={phase !== 'ready'}
                  onClick={() => begin(scene, steps, step + 1)}
                >
                  next
                </button>
              )}
            </span>
          </footer>
        </>
      )}
    </section>
  );
};

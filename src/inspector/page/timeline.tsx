/** The time of a recording: forwards, backwards, and to the moment something broke. */
import { computed, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { Icon, clockTime } from './bits.tsx';
import { playhead, records, recording, tick } from './store.ts';

const SPEEDS = [0.1, 1, 5, 20] as const;
const FRAME_MS = 50;

const playing = signal(false);
const speed = signal<number>(1);

const bounds = computed(() => {
  void tick.value;
  void recording.value;
  const times = records.flatMap((record) => ('seq' in record ? record.atMs : []));
  return {
    from: times[0] ?? 0,
    to: Math.max(times.at(-1) ?? 0, recording.value?.broken?.atMs ?? 0),
  };
});

/** What the world did: starts, deaths, cuts. */
const marks = computed(() => {
  void tick.value;
  return records.flatMap((record) => ('seq' in record && record.actor === 'world' ? [record] : []));
});

const jump = (direction: 1 | -1): void => {
  playing.value = false;
  const times = [...marks.value.map(({ atMs }) => atMs), bounds.value.from, bounds.value.to].sort(
    (a, b) => a - b,
  );
  const now = playhead.value;
  const next =
    direction === 1
      ? times.find((at) => at > now + 0.001)
      : times.findLast((at) => at < now - 0.001);
  if (next !== undefined) playhead.value = next;
};

export const Timeline = () => {
  const replayed = recording.value;
  const { from, to } = bounds.value;
  useEffect(() => {
    if (!playing.value || replayed === undefined) return undefined;
    const timer = setTimeout(() => {
      playhead.value = Math.min(to, playhead.value + FRAME_MS * speed.value);
      if (playhead.value >= to) playing.value = false;
    }, FRAME_MS);
    return () => clearTimeout(timer);
  });
  if (replayed === undefined) return null;
  const place = (atMs: number): string => `${((atMs - from) / Math.max(1, to - from)) * 100}%`;
  return (
    <section class="timeline" aria-label="time of the recording">
      <span class="buttons">
        <button aria-label="event before" onClick={() => jump(-1)}>
          <Icon name="back" />
        </button>
        <button
          class="primary"
          aria-label={playing.value ? 'stop time' : 'let time run'}
          onClick={() => {
            if (!playing.value && playhead.value >= to) playhead.value = from;
            playing.value = !playing.value;
          }}
        >
          <Icon name={playing.value ? 'pause' : 'play'} />
        </button>
        <button aria-label="event after" onClick={() => jump(1)}>
          <Icon name="forward" />
        </button>
      </span>
      <span class="track">
        {marks.value.map(({ atMs, what }) => (
          <i
            class={`mark ${/dies|fails|disk|backup|partition/.test(what) ? 'bad' : ''}`}
            style={{ left: place(atMs) }}
            title={what}
          />
        ))}
        {replayed.broken === undefined ? null : (
          <i class="mark broken" style={{ left: place(replayed.broken.atMs) }} title="broken" />
        )}
        <input
          type="range"
          min={from}
          max={to}
          step="any"
          value={Math.min(playhead.value, to)}
          aria-label="moment"
          onInput={({ currentTarget }) => {
            playing.value = false;
            playhead.value = Number(currentTarget.value);
          }}
        />
      </span>
      <output class="mono">{clockTime(Math.min(playhead.value, to))}</output>
      {replayed.broken === undefined ? null : (
        <button class="danger" onClick={() => (playhead.value = replayed.broken!.atMs)}>
          where it broke
        </button>
      )}
      <select
        aria-label="speed"
        value={String(speed.value)}
        onChange={({ currentTarget }) => (speed.value = Number(currentTarget.value))}
      >
        {SPEEDS.map((each) => (
          <option value={String(each)}>{each}×</option>
        ))}
      </select>
    </section>
  );
};

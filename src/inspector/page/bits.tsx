/** Small parts that all views share. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { colourOf } from './store.ts';

/** A node's name in its colour; colour is never the only sign. */
export const NodeName = ({ id }: { readonly id: string }) => (
  <span class={`node ${colourOf(id)}`}>
    <i aria-hidden="true" />
    {id}
  </span>
);

const ICONS = {
  first: 'M3 2h2v12H3zM14 2v12L6 8z',
  back: 'M12 2v12L4 8z',
  play: 'M4 2v12l9-6z',
  pause: 'M3 2h4v12H3zM9 2h4v12H9z',
  forward: 'M4 2v12l8-6z',
} as const;

/** Signs that no font can be relied on to have. */
export const Icon = ({ name }: { readonly name: keyof typeof ICONS }) => (
  <svg class="icon" viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
    <path d={ICONS[name]} />
  </svg>
);

const HEALTH_SIGNS: Readonly<Record<string, string>> = {
  healthy: '●',
  suspect: '◐',
  down: '✕',
  silent: '…',
};

export const Health = ({ health }: { readonly health: string }) => (
  <span class={`health ${health}`} title={health}>
    <span aria-hidden="true">{HEALTH_SIGNS[health] ?? '?'}</span> {health}
  </span>
);

export const Empty = ({ title, children }: { title: string; children?: ComponentChildren }) => (
  <div class="empty">
    <strong>{title}</strong>
    <p>{children}</p>
  </div>
);

export const Panel = ({
  title,
  aside,
  children,
  name,
}: {
  title: ComponentChildren;
  aside?: ComponentChildren;
  children?: ComponentChildren;
  name?: string;
}) => (
  <section class="panel" data-panel={name}>
    <header>
      <h2>{title}</h2>
      {aside === undefined ? null : <div class="aside">{aside}</div>}
    </header>
    {children}
  </section>
);

/** 0.42 ms, 17 ms, 3.2 s, 4 min. */
export const duration = (ms: number | undefined): string => {
  if (ms === undefined || !Number.isFinite(ms)) return '–';
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return `${(ms / 3_600_000).toFixed(1)} h`;
};

/** Virtual time starts at 0; whatever is less than a day old in 1970 is that. */
const isVirtual = (atMs: number): boolean => atMs < 86_400_000;

export const clockTime = (atMs: number): string => {
  if (isVirtual(atMs)) return `${(atMs / 1000).toFixed(3)} s`;
  const date = new Date(atMs);
  const two = (n: number) => String(n).padStart(2, '0');
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
};

/** Request numbers are long: their last digits tell them apart. */
export const shortActor = (actor: string): string => {
  const [machine, number] = actor.split(' ');
  return number === undefined ? actor : `${machine} …${number.slice(-4)}`;
};

export const factsText = (facts: object | undefined): string =>
  Object.entries(facts ?? {})
    .map(
      ([name, value]) => `${name} ${Array.isArray(value) ? `[${value.join(' ')}]` : String(value)}`,
    )
    .join(' · ');

/** The width of an element as the window has it, px. */
export const useWidth = () => {
  const place = useRef<HTMLDivElement>(null);
  const [widthPx, setWidthPx] = useState(600);
  useEffect(() => {
    const seen = new ResizeObserver(([entry]) => setWidthPx(entry!.contentRect.width));
    seen.observe(place.current!);
    return () => seen.disconnect();
  }, []);
  return [place, widthPx] as const;
};

/** Arrow keys walk the rows of a table. */
export const moveFocus = (event: KeyboardEvent): void => {
  const row = event.currentTarget as HTMLElement;
  const next =
    event.key === 'ArrowDown'
      ? row.nextElementSibling
      : event.key === 'ArrowUp'
        ? row.previousElementSibling
        : null;
  if (next === null) return;
  event.preventDefault();
  (next as HTMLElement).focus();
};

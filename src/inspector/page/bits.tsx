/** Small parts that all views share. */
import type { ComponentChildren } from 'preact';
import { colourOf } from './store.ts';

/** A node's name in its colour; colour is never the only sign. */
export const NodeName = ({ id }: { readonly id: string }) => (
  <span class={`node ${colourOf(id)}`}>
    <i aria-hidden="true" />
    {id}
  </span>
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

export const clockTime = (atMs: number): string => {
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

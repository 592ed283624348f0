/** Which view is shown; kept in the address, so that it survives a reload. */
import { signal } from '@preact/signals';

export const VIEWS = ['ring', 'requests', 'actors', 'health', 'log', 'faults'] as const;
export type View = (typeof VIEWS)[number];

const isView = (text: string): text is View => VIEWS.some((view) => view === text);

const viewOfAddress = (): View => {
  const text = location.hash.slice(1);
  return isView(text) ? text : 'ring';
};

export const view = signal<View>(viewOfAddress());

export const show = (next: View): void => {
  view.value = next;
  history.replaceState(undefined, '', `#${next}`);
};

addEventListener('hashchange', () => (view.value = viewOfAddress()));

/** The long-lived actors in the log: each change of state, while somebody wants to read it. */
import type { AnyActorRef } from 'xstate';
import type { LogLevels, Trace } from '../../ports/trace.ts';

/**
 * Logs what moves the actors under `supervisor`, at level debug. Looks at nothing while no level asks
 * for it: call the result whenever a level has changed.
 */
export const actorLog = (
  supervisor: AnyActorRef,
  trace: Trace,
  levels: Pick<LogLevels, 'general' | 'subjects'>,
): (() => void) => {
  let stop: (() => void) | undefined;
  const states = new Map<AnyActorRef, string>();
  const begin = (): (() => void) => {
    const subscription = supervisor.system.inspect((happening) => {
      if (happening.type !== '@xstate.snapshot') return;
      const ref = happening.actorRef as unknown as AnyActorRef;
      const { value } = happening.snapshot as { readonly value?: unknown };
      const state = typeof value === 'string' ? value : JSON.stringify(value ?? 'gone');
      if (states.get(ref) === state) return;
      states.set(ref, state);
      const { systemId } = ref as { readonly systemId?: string };
      const actor = ref === supervisor ? 'node' : (systemId ?? ref.id);
      trace.log('debug', 'actor.moved', { actor, on: happening.event.type, to: state });
    });
    return () => subscription.unsubscribe();
  };
  return () => {
    const wanted = [levels.general, ...levels.subjects.values()].includes('debug');
    if (wanted) stop ??= begin();
    else {
      stop?.();
      stop = undefined;
      states.clear();
    }
  };
};

/**
 * The questions an orchestrator asks: alive (else restart me), started (else wait), ready (else send
 * clients elsewhere). A node that drains is alive and not ready.
 */
import type { AdminReply, AdminRoute } from '../../ports/admin.ts';
import type { NodeState, Status } from '../status.ts';

export type HealthParts = {
  readonly state: () => NodeState;
  readonly status: () => Status;
};

/** `/livez`, `/startupz` and `/readyz`, open to everyone: they say one word, and why not. */
export const healthRoutes = ({ state, status }: HealthParts): ReadonlyMap<string, AdminRoute> => {
  let started = false;
  const open = (serve: () => AdminReply): AdminRoute => ({ access: 'open', serve });
  return new Map([
    // Whoever answers lives; an event loop that hangs does not answer.
    ['/livez', open(() => (state() === 'stopped' ? no('stopped') : yes))],
    [
      '/startupz',
      open(() => {
        started ||= state() !== 'joining';
        return started ? yes : no(['joining', ...status().notes].join('\n'));
      }),
    ],
    ['/readyz', open(() => (state() === 'serving' ? yes : no(state())))],
  ]);
};

const text = (status: number, body: string): AdminReply => ({
  ...{ status, type: 'text/plain; charset=utf-8', body: `${body}\n` },
});
const yes = text(200, 'ok');
const no = (why: string): AdminReply => text(503, why);

/** Faults on purpose by command (`coterie fault`), on nodes that allow them. */
import { CoterieError } from '../core/errors.ts';
import type { NodeId } from '../core/ids.ts';
import type { AdminCommands } from '../node/operators/admin-commands.ts';
import { badArgument, mapOf } from '../wire/fields.ts';
import type { Faults } from './faults.ts';
import type { Fault } from './records.ts';

const TYPES: readonly string[] = [
  ...['cut', 'heal', 'slow-disk', 'skew'],
  ...['kill', 'pause', 'resume', 'restart', 'wipe', 'add'],
];

/** `faults` undefined: the commands exist, and say why they do nothing. */
export const faultCommands = (self: NodeId, faults: Faults | undefined): AdminCommands => {
  const allowed = (): Faults => {
    if (faults !== undefined) return faults;
    throw new CoterieError('FORBIDDEN', `${self} was not started with --allow-faults`);
  };
  return {
    'fault.show': (_, answer) => answer({ node: self, ...allowed().view() }),
    'fault.apply': (args, answer) => {
      const desk = allowed();
      const fault = mapOf(args['fault']);
      if (fault === undefined || !TYPES.includes(fault['type'] as string)) {
        throw badArgument('the argument fault', `a map with a type: ${TYPES.join(', ')}`, fault);
      }
      const refusal = desk.apply(fault as unknown as Fault);
      if (refusal !== undefined) throw new CoterieError('BAD_ARGUMENT', refusal);
      answer({ node: self, ...desk.view() });
    },
  };
};

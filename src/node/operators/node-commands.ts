/** What an operator may ask a node by name: each room adds its own table. */
import type { MembershipEvent } from '../../core/members.ts';
import { actorLog } from './actor-log.ts';
import type { AdminCommands } from './admin-commands.ts';
import { backupCommands } from './backup-commands.ts';
import { LiveSettings } from './live-settings.ts';
import { membershipCommands } from '../membership/membership-commands.ts';
import type { Meters } from './meters.ts';
import type { NodeParts } from '../node-parts.ts';
import { operatorCommands } from './operator-commands.ts';
import type { Organs } from '../organs.ts';
import { repairCommands } from '../healing/repair-commands.ts';
import type { Supervisor } from '../supervision.ts';

export type CommandHooks = {
  readonly meters: Meters;
  readonly supervisor: Supervisor;
  /** An operator's change of membership: persisted here, and spread. */
  readonly issue: (event: MembershipEvent) => void;
};

export const nodeCommands = (
  parts: NodeParts,
  organs: Organs,
  { meters, supervisor, issue }: CommandHooks,
): AdminCommands => {
  const { map } = organs;
  const { self, clock, config, digest, trace, logLevels, watch } = parts;
  const logMoves =
    logLevels === undefined ? () => undefined : actorLog(supervisor, trace, logLevels);
  logMoves();
  return {
    ...repairCommands({ self, ...organs }),
    ...membershipCommands({ self, digest, ...organs, issue }),
    ...operatorCommands({
      ...{ ...organs, self, clock, meters },
      settings: new LiveSettings(config, logLevels, logMoves),
      addressOf: (node) => map.book.announcements.find((each) => each.node === node)?.address ?? '',
      requestsOn: watch === undefined ? undefined : (key) => watch.requestsOn(key),
    }),
    ...backupCommands({ ...organs, self, config, clock, cluster: () => map.cluster }),
    ...parts.commands,
  };
};

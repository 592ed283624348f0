/**
 * Membership in the swarm: operators who join, remove, replace and let go of nodes in the middle of
 * everything else. They are careful in one thing only: no more nodes die for good than the
 * durability budget of most writes allows.
 */
import type { MembershipChange } from '../core/members.ts';
import type { Fault } from './faults.ts';
import type { Strike } from './scenario.ts';
import type { Host, World } from './world.ts';

/** So many members stay, whatever operators do. */
const MEMBERS_MIN = 3;
const REMOVED_MAX = 1;

const ROWS = {
  /** A node that waits becomes a member, now and then of twice the weight. */
  join: {
    perSecondMax: 0.2,
    strike: (world, { where, other, chance }) => {
      const host = pickOf(spares(world), where);
      if (host === undefined) return;
      const weight = chance < 0.2 ? 2 : 1;
      operator(world, other, { type: 'join', node: host.id, zone: world.zoneOf(host), weight });
    },
  },
  leave: {
    perSecondMax: 0.15,
    strike: (world, { where, other }) => {
      const host = pickOf(members(world), where);
      if (host === undefined || members(world).length <= MEMBERS_MIN) return;
      operator(world, other, { type: 'leave', node: host.id });
    },
  },
  /** A node dies for good, and a while later somebody says so; now and then it only seemed dead. */
  remove: {
    perSecondMax: 0.08,
    strike: (world, strike) => {
      const host = pickOf(members(world), strike.where);
      if (host === undefined || !mayLose(world) || members(world).length <= MEMBERS_MIN) return;
      buryLater(world, host, strike, { type: 'remove', node: host.id });
    },
  },
  replace: {
    perSecondMax: 0.08,
    strike: (world, strike) => {
      const host = pickOf(members(world), strike.where);
      const by = pickOf(spares(world), strike.other);
      if (host === undefined || by === undefined || !mayLose(world)) return;
      buryLater(world, host, strike, { type: 'replace', node: host.id, by: by.id });
    },
  },
  weigh: {
    perSecondMax: 0.1,
    strike: (world, { where, other, size }) => {
      const host = pickOf(members(world), where);
      if (host === undefined) return;
      const weight = 1 + Math.floor(size * 3);
      operator(world, other, { type: 'set-weight', node: host.id, weight });
    },
  },
} as const satisfies Readonly<Record<string, Fault>>;

export type MoveName = keyof typeof ROWS;
export const MOVES: Readonly<Record<MoveName, Fault>> = ROWS;
export const MOVE_NAMES = Object.keys(ROWS) as readonly MoveName[];

/** Asks a node that serves, the one at this fraction of them, for a change. */
export const operator = (world: World, at: number, change: MembershipChange): void => {
  const asked = pickOf(
    world.hosts.filter(({ node }) => node?.state === 'serving'),
    at,
  );
  if (asked === undefined) return;
  world.hasMoved = true;
  const refusal = asked.node!.changeMembership(change);
  const goes = change.type === 'leave' || change.type === 'remove' || change.type === 'replace';
  if (goes && refusal === undefined) world.toldToGo.add(change.node);
  const words = Object.values(change).join(' ');
  world.say(`operator at ${asked.id}: ${words}${refusal === undefined ? '' : `: ${refusal}`}`);
};

/** Whether some node takes it for a member. */
export const isMember = (world: World, host: Host): boolean =>
  world.hosts.some(({ node }) => node?.ringView.ring.members.some(({ id }) => id === host.id));

/** Whether some node takes it for a member, or for an owner that has still to hand over. */
export const isWaitedFor = (world: World, host: Host): boolean =>
  isMember(world, host) ||
  world.hosts.some(({ node }) =>
    node?.ringView.ring.table.some((owners) => owners.includes(host.id)),
  );

/** Those that stay: who was told to go is none, though nodes that have not heard of it say so. */
const members = (world: World): readonly Host[] =>
  world.hosts.filter((host) => !host.gone && !world.toldToGo.has(host.id) && isMember(world, host));

/** Nodes that wait to be joined; whoever was a member once may not come back. */
const spares = (world: World): readonly Host[] =>
  world.hosts.filter(({ gone, node }) => !gone && node?.state === 'joining');

const mayLose = ({ givenUp }: World): boolean => givenUp < REMOVED_MAX;

const buryLater = (
  world: World,
  host: Host,
  { other, size, chance }: Strike,
  change: MembershipChange,
): void => {
  world.givenUp += 1;
  if (chance < 0.8) world.killForGood(host);
  // What a node holds that is removed by mistake is as lost as a disk, and so is whatever it takes
  // until it hears of it.
  else world.lose(host, 'disk', 'from now on');
  world.during(size * 4000, () => operator(world, other, change));
};

const pickOf = (hosts: readonly Host[], fraction: number): Host | undefined =>
  hosts[Math.floor(fraction * hosts.length)];

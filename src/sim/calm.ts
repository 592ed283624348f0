/**
 * The second phase: every fault has ended, whoever is not dead for good lives, and everything has
 * to settle in bounded time: hints drain, partitions stop moving, replicas become equal, and then
 * nothing happens any more (DESIGN § 9, invariants 1, 5, 8, 10).
 */
import { keyOfText, showKey } from '../core/ids.ts';
import type { NodeId, PartitionId } from '../core/ids.ts';
import type { Status } from '../node/status.ts';
import {
  checkConvergence,
  checkHints,
  checkHistory,
  checkIdle,
  checkOwnership,
  checkTrees,
  livingOwners,
  ownersOf,
  rootsAreEqual,
  servingHosts,
} from './checks.ts';
import type { FinalValues } from './checks.ts';
import { nameIn } from './history.ts';
import type { History } from './history.ts';
import { demand } from './invariants.ts';
import { isMember, isWaitedFor, operator } from './moves.ts';
import type { Paths } from './paths.ts';
import type { Scenario } from './scenario.ts';
import type { Watch } from './watch.ts';
import type { Workload } from './workload.ts';
import type { World } from './world.ts';

/** After so long without settling an operator removes the dead, if nothing else did. */
const OPERATOR_COMES_MS = 15_000;
/** Long enough for the owners to agree on what to forget. */
const FORGETTING_MS = 12_000;
/** What is lost by reads and by hints alone is known so long after the last hint. */
const LINGER_MS = 3000;
/** A read in calm, and what it repairs when it has answered. */
const READ_MS = 1500;

/** Some nodes never come back: as much of the durability budget as a lost disk each. */
export const killForGood = (world: World, { leftDead }: Scenario): void => {
  if (world.givenUp > 0) return;
  const members = world.hosts.filter((host) => isMember(world, host));
  for (const host of members.slice(0, Math.min(leftDead, members.length - 2))) {
    world.killForGood(host);
  }
};

export const settle = (
  watch: Watch,
  workload: Workload,
  scenario: Scenario,
  paths: Paths,
): void => {
  const { world } = watch;
  const { history } = workload;
  for (const host of world.hosts) if (host.node === undefined) world.start(host);
  workload.wrapUp();
  watch.advanceUntil('the workload ends', () => workload.isDone);
  const removed = new Set(scenario.removesDead ? removeDead(world, paths) : []);
  watch.advanceWhile(OPERATOR_COMES_MS, () => unrestOf(world, removed) !== '');
  if (unrestOf(world, removed) !== '') {
    for (const id of removeDead(world, paths)) removed.add(id);
  }
  const settles = (): void =>
    watch.advanceUntil(
      'hints drain, partitions are complete and where they belong',
      () => unrestOf(world, removed) === '',
      () => unrestOf(world, removed),
    );
  settles();
  watch.advance(LINGER_MS);
  // A change asked for in the last moment of the faults may have spread only now.
  settles();
  checkHints(world);
  checkOwnership(world);
  // Before anybody reads.
  if (scenario.hintsOnly) checkConvergence(world, scenario.keys);
  // And whatever was lost on the way, anti-entropy finds: still nobody has read.
  watch.advanceUntil('owners become equal', () => rootsAreEqual(world));
  if (scenario.forgets) {
    forgetSome(watch, workload, scenario);
    watch.advance(FORGETTING_MS);
    watch.advanceUntil('owners become equal again', () => rootsAreEqual(world));
  }
  const readFromMs = earliestMs(world);
  const values = readAll(watch, scenario, (key, found) => workload.checkFinal(key, found));
  checkHistory(world, scenario, history, values);
  checkConvergence(world, scenario.keys);
  scanAll(watch, scenario, history, { values, readFromMs });
  checkIdle(world);
  checkTrees(world);
  // What is forgotten meanwhile is no reader's doing.
  if (scenario.forgets) return;
  let written = 0;
  world.observe((event) => {
    if (event.type !== 'committed' || event.host.node?.state !== 'serving') return;
    // A node that was removed by mistake may say only now that it has left: that is the members' book.
    if (event.ops.some(({ table }) => table === 'records' || table === 'hints')) written += 1;
  });
  readAll(watch, scenario);
  demand(written === 0, 'idle', '', () => 'a read of a converged key wrote something');
};

/** What is deleted now leaves nothing behind, unless somebody is waited for who may bring it back. */
const forgetSome = (watch: Watch, workload: Workload, { limits }: Scenario): void => {
  const { world } = watch;
  let deleted: readonly string[] | undefined;
  workload.deleteSome((keys) => (deleted = keys));
  watch.advanceUntil('the last deletes end', () => deleted !== undefined);
  const isWaitingFor = (): boolean =>
    servingHosts(world).some(({ node }) => {
      const { ring } = node!.ringView;
      const mayReturn = ring.removed.some(({ how }) => how === 'may-return');
      const isDead = ring.members.some(({ id }) => world.hostOf(id).gone);
      return mayReturn || isDead || node!.ringView.leavers().length > 0;
    });
  // What was truncated may stand beside the delete as a false sibling (A6).
  if (limits === 'tiny' || isWaitingFor()) return;
  const left = (): string | undefined =>
    deleted!.find((key) =>
      servingHosts(world).some(({ node }) => node!.recordOf(keyOfText(key)) !== undefined),
    );
  watch.advanceUntil(
    'deletes are forgotten',
    () => left() === undefined,
    () => `of ${left()}`,
  );
};

/** Every node stops in good order, and leaves neither a timer nor anything unwritten behind. */
export const stopAll = (watch: Watch): void => {
  const { world } = watch;
  const stopped = new Set<string>();
  for (const { id, node } of world.hosts) node?.stop(() => stopped.add(id));
  watch.advanceUntil('the nodes stop', () =>
    world.hosts.every(({ id, node }) => node === undefined || stopped.has(id)),
  );
  watch.advance(100);
  for (const { id, node, clock } of world.hosts) {
    if (node === undefined) continue;
    const { buffered } = node.status();
    demand(
      clock.pending === 0 && buffered === 0,
      'nothing is left running',
      '',
      () => `${id} stopped with ${clock.pending} timers and ${buffered} unwritten changes`,
    );
  }
};

/** Those whose end as members was just asked for. */
const removeDead = (world: World, paths: Paths): readonly NodeId[] => {
  const dead = world.hosts.filter((host) => host.gone && isWaitedFor(world, host));
  for (const { id } of dead) {
    paths.add('the dead are removed');
    operator(world, 0, { type: 'remove', node: id });
  }
  return dead.map(({ id }) => id);
};

/** What still has to happen, in words; empty if nothing. `removed` are to be members no more. */
const unrestOf = (world: World, removed: ReadonlySet<NodeId>): string => {
  const serving = servingHosts(world);
  for (const { id, node } of serving) {
    const word = unrestAt(world, node!.status());
    if (word !== '') return `${id}: ${word}`;
  }
  const views = serving.map(({ node }) => node!.ringView);
  const members = views.flatMap(({ ring }) => ring.members.map(({ id }) => id));
  // Whoever was removed by mistake gives away what it holds too: until then keys may still change.
  const leavers = views.flatMap((view) => [
    ...view.leavers(),
    ...view.ring.removed.flatMap(({ id, how }) => (how === 'may-return' ? [id] : [])),
  ]);
  const leaver = leavers.find((id) => !world.hostOf(id).gone);
  if (leaver !== undefined) return `${leaver} has not said yet that it left`;
  const stays = members.find((id) => removed.has(id));
  if (stays !== undefined) return `${stays} is still a member`;
  const texts = views.map(({ ring }) => JSON.stringify([ring.members, ring.table]));
  return new Set(texts).size === 1 ? '' : 'nodes disagree about members or owners';
};

const unrestAt = (world: World, status: Status): string => {
  const { arriving, departing, moving } = status.transfers;
  if (status.incomplete > 0) return `${status.incomplete} partitions are incomplete`;
  if (arriving + departing + moving > 0) {
    return `${arriving} arriving, ${departing} departing, ${moving} moving`;
  }
  // What is kept for the living, and for whoever was a member once; only the dead may wait.
  let hintsLeft = 0;
  for (const { id, health, hints } of status.nodes) {
    const { gone } = world.hostOf(id);
    if (gone && health !== 'down') return `${id} is dead and ${health}`;
    if (!gone && health !== 'healthy') return `${id} is ${health}`;
    hintsLeft += id === status.node ? hints : gone ? -hints : 0;
  }
  return hintsLeft === 0 ? '' : `${hintsLeft} hints`;
};

/** More reads at once may be more coordinators than a node allows. */
const READS_AT_ONCE = 2;

/** Reads each key once from all its living owners at one node: read repair makes them equal. */
const readAll = (
  { world, judge }: Watch,
  { keys }: Scenario,
  found: (key: string, values: readonly Uint8Array[]) => void = () => undefined,
): FinalValues => {
  const values = new Map<string, readonly string[]>();
  const living = servingHosts(world);
  const atOnce = living.length * READS_AT_ONCE;
  for (let at = 0; at < keys.length; at += atOnce) {
    const asked = keys.slice(at, at + atOnce);
    const failures = new Map<string, string>();
    for (const [i, key] of asked.entries()) {
      const r = livingOwners(world, key).length;
      world.ask(
        living[i % living.length]!,
        { type: 'get', key: keyOfText(key), r, strict: true, timeoutMs: 5000 },
        (reply) => {
          if (reply.type === 'value') {
            values.set(key, reply.values.map(nameIn));
            found(key, reply.values);
          } else if (reply.type === 'failed') failures.set(key, reply.message);
        },
      );
    }
    world.clock.advance(READ_MS);
    for (const key of asked) {
      const failure = (): string => failures.get(key) ?? 'no answer';
      demand(values.has(key), 'calm reads succeed', key, failure);
      world.say(`final ${key} = ${values.get(key)!.join()}`);
    }
  }
  if (judge.broken !== undefined) throw judge.broken;
  return values;
};

/** By the clock that is behind all others. */
const earliestMs = (world: World): number =>
  Math.min(...servingHosts(world).map(({ clock }) => clock.wallMs()));

/** Lists every partition once: exactly the keys that have a value, as far as none can expire now. */
const scanAll = (
  { world }: Watch,
  { keys, config }: Scenario,
  history: History,
  { values, readFromMs }: { readonly values: FinalValues; readonly readFromMs: number },
): void => {
  const listed = new Map<PartitionId, readonly string[]>();
  const living = servingHosts(world);
  const partitions = [...new Set(keys.map((key) => world.partitionOf(key)))];
  for (const [i, partition] of partitions.entries()) {
    const request = { type: 'scan', partition, limit: keys.length, timeoutMs: 5000 } as const;
    world.ask(living[i % living.length]!, request, (reply) => {
      if (reply.type === 'keys') listed.set(partition, reply.keys.map(showKey));
    });
    if (i % living.length === living.length - 1) world.clock.advance(READ_MS);
  }
  world.clock.advance(READ_MS);
  for (const key of keys) {
    const found = listed.get(world.partitionOf(key));
    const lists = Math.min(config.defaultR, ownersOf(world, key).length);
    if (livingOwners(world, key).length < lists) continue;
    // What had expired by every clock before the keys were read has no value in either.
    const mayExpire = history
      .ofKey(key)
      .some(({ expiresAt }) => isFinite(expiresAt) && expiresAt > readFromMs);
    const isThere = values.get(key)!.length > 0;
    demand(
      found !== undefined && (mayExpire || found.includes(key) === isThere),
      'scans are complete',
      key,
      () => `in calm a scan lists ${found?.join() ?? 'no answer'}`,
    );
  }
};

/** What the tour does and says: each step acts on the cluster, then waits until the effect is seen. */
import type { KeyPicture } from '../records.ts';
import { breakIt, nextId, operate, processes, serving } from './hands.ts';
import { lookUp, refreshKey, replicas } from './key.tsx';
import { playStory, selectStory } from './story.tsx';
import { SILENT_MS, ask, memberIds, nodes, stories } from './store.ts';
import { show } from './views.ts';

export type Step = {
  readonly say: () => string;
  readonly act?: () => Promise<void>;
  /** What the step waits for, in words, and whether it has come. */
  readonly waits?: string;
  readonly until?: () => boolean;
};

export type Scene = {
  readonly title: string;
  readonly about: string;
  readonly steps: () => readonly Step[];
};

const HINTED_KEYS = 12;
const REPAIRED_KEYS = 60;

const ownersOf = async (key: string): Promise<readonly string[]> => {
  const { preference } = await ask<KeyPicture>(serving(), { type: 'key', key });
  return preference.filter(({ role }) => role === 'owner').map(({ node }) => node);
};

const put = async (node: string, key: string, value: string, context?: string) => {
  const given = context === undefined ? {} : { context };
  const written = await operate(node, { type: 'put', key, value, ...given });
  if (written.type === 'failed') throw new Error(`${written.code}: ${written.message}`);
  return written;
};

const putMany = async (prefix: string, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await put(serving(), `${prefix}${i}`, `value ${i}`);
};

const heard = (id: string, sinceMs = Date.now() - SILENT_MS): boolean =>
  (nodes.value.get(id)?.heardAtMs ?? 0) > sinceMs;

const statusOf = (id: string) => nodes.value.get(id)?.gauges.status;

const believedDown = (id: string): boolean =>
  memberIds.value
    .filter((each) => each !== id && heard(each))
    .every((each) => statusOf(each)?.nodes.find((about) => about.id === id)?.health === 'down');

const hintsFor = (id: string): number =>
  memberIds.value
    .filter((each) => each !== id && heard(each))
    .flatMap((each) => nodes.value.get(each)!.gauges.hintsByTarget)
    .filter(({ target }) => target === id)
    .reduce((sum, { count }) => sum + count, 0);

/** Some node that can be spared: not the one that serves this page. */
const victim = (owners: readonly string[] = memberIds.value): string => {
  const spared = owners.filter((id) => id !== serving() && heard(id));
  if (spared[0] === undefined) throw new Error('this scene needs a second node that is alive');
  return spared[spared.length - 1]!;
};

const siblingsAt = (node: string): number =>
  replicas.value.find((each) => each.node === node)?.picture?.siblings.length ?? 0;

const quorumWrite: Scene = {
  title: '1. A quorum write',
  about: 'one put, its coordinator, two of three replicas, one of them durable',
  steps: () => {
    const key = 'tour:write';
    let cause = '';
    return [
      {
        say: () =>
          `The key ${key} hashes to one place on the ring. The three owners of its partition form its preference list; any of them may coordinate a put.`,
        act: async () => {
          show('ring');
          await lookUp(key);
        },
      },
      {
        say: () =>
          'One put, recorded on every node it touched. Each arrow is a message between nodes, each pill a state of the coordinator. Use ← and →, or press ▶.',
        waits: 'until the coordinator has lingered and is buried',
        act: async () => {
          const [coordinator] = await ownersOf(key);
          ({ cause } = await put(coordinator!, key, 'milk'));
          show('requests');
          selectStory(cause, 0);
        },
        until: () => stories.get(cause)?.records.some(({ type }) => type === 'ended') === true,
      },
      {
        say: () =>
          'It mints the dot of this write, stores it here, sends it to the other owners. W = 2 acknowledgements, one of them from a disk, and the client is answered; the coordinator lingers for the third.',
        act: async () => playStory(),
      },
    ];
  },
};

const hints: Scene = {
  title: '2. A node dies and hints flow',
  about: 'writes go on without it; what it missed is handed over when it is back',
  steps: () => {
    let dead = '';
    return [
      {
        say: () =>
          dead === ''
            ? 'One node is about to be killed.'
            : `${dead} was killed: SIGKILL, no goodbye. The others find out by themselves, each on its own, within seconds.`,
        waits: 'until every other node believes it is down',
        act: async () => {
          show('ring');
          await lookUp('');
          dead = victim();
          await breakIt(serving(), { type: 'kill', node: dead });
        },
        until: () => !heard(dead) && believedDown(dead),
      },
      {
        say: () =>
          `${HINTED_KEYS} writes, and all succeed: the quorum is sloppy. What ${dead} missed is kept as hints, on a fallback or at the coordinator. Watch “keeps hints”.`,
        waits: 'until hints are kept',
        act: () => putMany('tour:hint:', HINTED_KEYS),
        until: () => hintsFor(dead) > 0,
      },
      {
        say: () =>
          `${dead} starts again. Handoff delivers every hint, and forgets it only after ${dead} has it on disk.`,
        waits: 'until no hint is left',
        act: () => breakIt(serving(), { type: 'restart', node: dead }),
        until: () => heard(dead) && hintsFor(dead) === 0,
      },
    ];
  },
};

const carts: Scene = {
  title: '3. Two carts diverge and merge',
  about: 'a cut link, two writes at once, two siblings, one merged cart',
  steps: () => {
    const key = 'tour:cart';
    let [a, b] = ['', ''];
    let context: string | undefined;
    return [
      {
        say: () =>
          a === ''
            ? 'A cart with milk in it.'
            : `A cart with milk in it. Then the link between ${a} and ${b} is cut: neither hears the other, both stay up.`,
        act: async () => {
          // A cut at the node that serves this page would cut off the page's view, too.
          const owners = (await ownersOf(key)).filter((id) => id !== serving());
          if (owners.length < 2) throw new Error('this scene needs three nodes');
          [a, b] = [owners[0]!, owners[1]!];
          await breakIt(a, { type: 'heal', peer: b });
          ({ context } = await operate(a, { type: 'get', key }));
          await put(a, key, 'milk', context);
          ({ context } = await operate(a, { type: 'get', key }));
          await breakIt(a, { type: 'cut', peer: b });
          show('ring');
          await lookUp(key);
        },
      },
      {
        say: () =>
          `Two people saw the same cart. One adds eggs at ${a}, the other tea at ${b}. Neither write knows of the other, so neither may overwrite it: both stay, as siblings with a dot each.`,
        waits: 'until a replica holds both',
        act: async () => {
          await Promise.all([
            put(a, key, 'milk, eggs', context),
            put(b, key, 'milk, tea', context),
          ]);
          await lookUp(key);
        },
        until: () => {
          refreshKey();
          return memberIds.value.some((id) => siblingsAt(id) > 1);
        },
      },
      {
        say: () =>
          'The link heals. A get shows both carts and gives a context that covers them; the application merges, and its put replaces both, everywhere.',
        waits: 'until every owner holds one value',
        act: async () => {
          await breakIt(a, { type: 'heal', peer: b });
          const read = await operate(b, { type: 'get', key });
          await put(b, key, 'milk, eggs, tea', read.context);
        },
        until: () => {
          refreshKey();
          const held = replicas.value.flatMap(({ picture }) =>
            picture?.held === 'record' ? [picture.siblings.map(({ dot }) => dot).join()] : [],
          );
          return held.length > 1 && new Set(held).size === 1 && !held[0]!.includes(',');
        },
      },
    ];
  },
};

const merkle: Scene = {
  title: '4. A replica heals by Merkle tree',
  about: 'a lost disk, and nobody kept hints: comparing trees finds what is missing',
  steps: () => {
    let wiped = '';
    let sinceMs = 0;
    return [
      {
        say: () => `${REPAIRED_KEYS} keys are written, on three nodes each.`,
        act: async () => {
          show('health');
          await putMany('tour:tree:', REPAIRED_KEYS);
        },
      },
      {
        say: () =>
          wiped === ''
            ? 'One node loses its disk.'
            : `${wiped} lost its disk and started empty. It knows that it does not know: until it is whole again, its “not found” counts for nothing, and the others answer.`,
        waits: 'until it is back, and every partition is whole',
        act: async () => {
          wiped = victim();
          await breakIt(serving(), { type: 'wipe', node: wiped });
          sinceMs = Date.now() + SILENT_MS;
        },
        until: () => {
          const running = processes().find(({ id }) => id === wiped)?.state === 'running';
          return running && heard(wiped, sinceMs) && statusOf(wiped)?.incomplete === 0;
        },
      },
      {
        say: () =>
          `${wiped} compared its empty trees with its co-owners': roots first, then only the branches that differ, then the records. “Hints and repair” below says how many it pulled.`,
      },
    ];
  },
};

const join: Scene = {
  title: '5. A node joins and partitions move',
  about: 'it fills itself, takes its place among the owners, and data moves no more than it must',
  steps: () => {
    let joined = '';
    return [
      {
        say: () =>
          joined === ''
            ? 'A further node is started.'
            : `${joined} joined. Every node computes the same plan. For each partition it is to own, ${joined} pulls a snapshot, then steps in; until then reads go to the old owners and writes to both.`,
        waits: 'until no partition is on the move',
        act: async () => {
          show('ring');
          await lookUp('');
          joined = nextId();
          await breakIt(serving(), { type: 'add', node: joined });
        },
        until: () => {
          const status = statusOf(serving());
          const owned = status?.nodes.find(({ id }) => id === joined)?.partitions ?? 0;
          return owned > 0 && status?.transfers.moving === 0;
        },
      },
      {
        say: () =>
          `${joined} owns its share. Now it leaves again: the others take its partitions over, and it stops when it has nothing left that they have not confirmed.`,
        waits: 'until it owns nothing',
        act: () => breakIt(serving(), { type: 'leave', node: joined }),
        until: () => {
          const status = statusOf(serving());
          const gone = status?.nodes.every(({ id }) => id !== joined) === true;
          return gone && status?.transfers.moving === 0;
        },
      },
    ];
  },
};

export const SCENES: readonly Scene[] = [quorumWrite, hints, carts, merkle, join];

/** `coterie hints`, `top-keys` and `explain`: why a node is busy, and why a key is as it is. */
import type { Command } from 'commander';
import type { Client } from '../client/index.ts';
import type { RequestSeen } from '../inspector/records.ts';
import { integer } from './exit.ts';
import { ageText, ask, askEveryNode, showing, shows } from './operator.ts';
import type { OfNode, OperatorFlags } from './operator.ts';
import { tableText } from './table.ts';

type Hints = {
  readonly node: string;
  readonly total: number;
  readonly targets: readonly {
    readonly target: string;
    readonly health: string;
    readonly count: number;
    readonly oldestMs?: number;
  }[];
};

type TopKeys = {
  readonly node: string;
  readonly asked: number;
  readonly sampledOf: number;
  readonly keys: readonly { readonly key: string; readonly count: number }[];
};

type Explained = {
  readonly node: string;
  readonly key: string;
  readonly partition: number;
  readonly position: string;
  readonly preference: readonly { node: string; role: string; health: string }[];
  readonly newcomers: readonly string[];
  readonly complete: boolean;
  readonly hintsFor: readonly string[];
  readonly hash: string;
  readonly record: null | {
    readonly vector: readonly { readonly actor: string; readonly n: number }[];
    readonly siblings: readonly {
      readonly actor: string;
      readonly n: number;
      readonly kind: string;
      readonly bytes: number;
      readonly writtenAt: number;
    }[];
    readonly seen: number;
  };
  /** Newest first; null where nothing is remembered, for there is no inspector. */
  readonly requests: readonly RequestSeen[] | null;
};

/** Requests shown, over all nodes. */
const REQUESTS_MAX = 10;

export const addExplainCommands = (program: Command): void => {
  shows(program.command('hints'), 'hints --every-node --watch')
    .description('hints kept for nodes that missed writes: how many, for whom, since when')
    .option('--every-node', 'ask all nodes, not only the one of --url')
    .action((flags: OperatorFlags) =>
      showing(flags, (client) => fromNodes<Hints>(client, flags, 'hints.show'), hintsText),
    );
  shows(program.command('top-keys'), 'top-keys --many 20 --watch')
    .description('the keys asked for most in the last minutes, by a sample of the requests')
    .option('--many <count>', 'how many, up to 100', integer, 10)
    .option('--every-node', 'ask all nodes, not only the one of --url')
    .action((flags: OperatorFlags & { readonly many: number }) =>
      showing(
        flags,
        (client) => fromNodes<TopKeys>(client, flags, 'keys.top', { many: flags.many }),
        topText,
      ),
    );
  shows(program.command('explain').argument('<key>'), 'explain cart:alice')
    .description(
      'where a key lives, what each of its nodes holds of it, and the last requests on it; never the value',
    )
    .action((key: string, flags: OperatorFlags) =>
      showing(
        flags,
        (client) =>
          fromNodes<Explained>(client, { ...flags, everyNode: true }, 'key.explain', { key }),
        explainText,
      ),
    );
};

/** The answers of one node, or of all. */
const fromNodes = async <T extends { readonly node: string }>(
  client: Client,
  flags: OperatorFlags,
  command: string,
  args: Readonly<Record<string, unknown>> = {},
): Promise<readonly OfNode<T>[]> => {
  const look = (from: Client) => ask<T>(from, command, args);
  if (flags.everyNode === true) return askEveryNode(client, flags, look);
  const answer = await look(client);
  return [{ node: answer.node, answer }];
};

const answered = <T>(nodes: readonly OfNode<T>[]): readonly T[] =>
  nodes.flatMap((each) => ('answer' in each ? [each.answer] : []));

/** A line for each node that did not answer. */
const silence = (nodes: readonly OfNode<unknown>[]): string =>
  nodes
    .flatMap((each) => ('unreachable' in each ? [`${each.node}: ${each.unreachable}\n`] : []))
    .join('');

const hintsText = (nodes: readonly OfNode<Hints>[]): string => {
  const rows = answered(nodes).flatMap(({ node, targets }) =>
    targets.map(({ target, health, count, oldestMs }) => [
      ...[node, target, health, String(count), ageText(oldestMs)],
    ]),
  );
  if (rows.length === 0) return `no hints\n${silence(nodes)}`;
  return tableText(['KEPT BY', 'FOR', 'HEALTH', 'HINTS', 'OLDEST'], rows) + silence(nodes);
};

const topText = (nodes: readonly OfNode<TopKeys>[]): string => {
  const rows = answered(nodes).flatMap(({ node, asked, sampledOf, keys }) =>
    keys.map(({ key, count }) => {
      const about = count * sampledOf;
      return [node, key, `~${about}`, `${Math.min(100, Math.round((100 * about) / asked))} %`];
    }),
  );
  return tableText(['NODE', 'KEY', 'REQUESTS', 'SHARE'], rows) + silence(nodes);
};

const explainText = (nodes: readonly OfNode<Explained>[]): string => {
  const found = answered(nodes);
  const [one] = found;
  if (one === undefined) return silence(nodes);
  const order = one.preference.map(({ node, role, health }) => {
    const marks = [role === 'fallback' ? 'fallback' : '', health === 'healthy' ? '' : health];
    const said = marks.filter((mark) => mark !== '').join(', ');
    return said === '' ? node : `${node} (${said})`;
  });
  const owners = one.preference.flatMap(({ node, role }) => (role === 'owner' ? [node] : []));
  const hashes = new Set(found.filter(({ node }) => owners.includes(node)).map(({ hash }) => hash));
  const rows = found.map(({ node, complete, record, hintsFor, hash }) => [
    node,
    owners.includes(node) ? (complete ? 'owner' : 'owner, being refilled') : '-',
    record === null ? 'nothing' : hash,
    record === null ? '-' : siblingsText(record.siblings),
    String(record?.vector.length ?? 0),
    hintsFor.join(' ') || '-',
  ]);
  return [
    `${one.key}: partition ${one.partition}, position ${one.position}`,
    `asked in this order: ${order.join(', ')}`,
    ...(one.newcomers.length === 0 ? [] : [`on its way to ${one.newcomers.join(', ')}`]),
    tableText(['NODE', 'ROLE', 'RECORD', 'SIBLINGS', 'WRITERS', 'HINTS FOR'], rows).trimEnd(),
    hashes.size > 1 ? 'the owners that answered differ' : 'the owners that answered are equal',
    vectorsText(found),
    requestsText(found) + silence(nodes),
  ].join('\n');
};

/** Once, if all that hold something hold the same. */
const vectorsText = (found: readonly Explained[]): string => {
  const texts = found.flatMap(({ node, record }) =>
    record === null ? [] : [{ node, text: record.vector.map(dotText).join(' ') }],
  );
  if (new Set(texts.map(({ text }) => text)).size === 1) return `vector ${texts[0]!.text}`;
  return texts.map(({ node, text }) => `vector of ${node} ${text}`).join('\n');
};

/** The last requests that the nodes remember, over all of them. */
const requestsText = (found: readonly Explained[]): string => {
  const deaf = found.flatMap(({ node, requests }) => (requests === null ? [node] : []));
  const rows = found
    .flatMap(({ requests }) => requests ?? [])
    .sort((a, b) => b.bornAtMs - a.bornAtMs)
    .slice(0, REQUESTS_MAX)
    .map(({ cause, machine, bornAtMs, replyMs, outcome, why }) => [
      ...[new Date(bornAtMs).toISOString(), cause, machine, outcome],
      ...[replyMs === undefined ? '-' : `${replyMs.toFixed(1)} ms`, why],
    ]);
  const note =
    deaf.length === 0
      ? ''
      : `requests are remembered with --admin only: not by ${deaf.join(', ')}\n`;
  if (rows.length === 0)
    return deaf.length === found.length ? note : `no slow, failed or recorded request\n${note}`;
  return tableText(['LAST REQUESTS', 'STORY', 'OPERATION', 'OUTCOME', 'REPLY', 'WHY'], rows) + note;
};

const siblingsText = (siblings: NonNullable<Explained['record']>['siblings']): string =>
  siblings
    .map(
      ({ actor, n, kind, bytes }) =>
        `${kind === 'value' ? `${bytes} B` : kind} by ${dotText({ actor, n })}`,
    )
    .join(', ');

const dotText = ({ actor, n }: { readonly actor: string; readonly n: number }): string =>
  `${actor.slice(0, 6)}…${actor.slice(-2)}:${n}`;

/** Prints how gossip grows with the number of nodes: rounds until all agree, bytes a node and second. */
import { withBook } from '../../src/core/gossip.ts';
import { nodeId } from '../../src/core/ids.ts';
import { GossipTown, joinOf } from './town.ts';

const SEEDS = 20;

process.stdout.write(
  'nodes  rounds to agree (median, most)  quiet bytes  bytes while one join spreads\n',
);
for (const size of [3, 10, 30, 100, 300]) {
  const rounds: number[] = [];
  let quiet = 0;
  let busy = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const town = new GossipTown(size, seed);
    quiet += town.round().bytes / size / SEEDS;
    town.books[0] = withBook(town.books[0]!, [joinOf(town.books[0]!, nodeId('late'))], []);
    let count = 0;
    let bytes = 0;
    for (; !town.agreed; count++) bytes += town.round().bytes;
    rounds.push(count);
    busy += bytes / size / Math.max(1, count) / SEEDS;
  }
  rounds.sort((a, b) => a - b);
  const facts = [
    String(size).padStart(5),
    `${rounds[SEEDS / 2]}, ${rounds.at(-1)}`.padStart(32),
    `${quiet.toFixed(0)}`.padStart(12),
    `${busy.toFixed(0)}`.padStart(12),
  ];
  process.stdout.write(`${facts.join('  ')}\n`);
}

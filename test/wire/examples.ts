/** The worked messages of PROTOCOL.md: what a client in another language is written from. */
import { readFileSync } from 'node:fs';

// From the root of the repository, where the tests run.
export const PROTOCOL = readFileSync('src/wire/PROTOCOL.md', 'utf8');

/** The blocks ```hex NAME: on each line the hex ends where two spaces or a word begin a comment. */
export const examples = [...PROTOCOL.matchAll(/```hex (\S+)\n([^`]*)```/g)].map(
  ([, name, block]) => {
    const hex = block!.split('\n').map((line) => /^(?:\s*[0-9a-f]{2,}(?=\s|$))*/.exec(line)![0]);
    return [name!, hex.join('').replace(/\s/g, '')] as const;
  },
);

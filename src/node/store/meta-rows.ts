/**
 * The rows of the meta table, in one list: whoever takes a name that another room has writes over what
 * that room relies on.
 */
const MEANINGS = {
  self: 'who this node is, and how its last life ended (book-store.ts)',
  complete: 'partitions that it has whole (completeness.ts)',
  birthmark: 'of the file in which those marks were written',
  lost: 'there once was more than this file has, for as long as it is used',
  progress: 'how many commits of records there were (witness.ts)',
  remembered: 'how many each peer had',
  lives: 'which lives the directory had, and how far each came (lives.ts)',
  round: 'of forgetting deletes: this one, and the last one that this disk was in (rounds.ts)',
  forgotten: 'the last round in which something was forgotten here; written in the same commit',
  returns: 'how long each removed node may still come back (returns.ts)',
} as const;

const utf8 = new TextEncoder();

/** The key of each row. */
export const META = Object.fromEntries(
  Object.keys(MEANINGS).map((name) => [name, utf8.encode(name)]),
) as Readonly<Record<keyof typeof MEANINGS, Uint8Array>>;

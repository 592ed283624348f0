/** Seeds that once failed, each with what it found; a cause that was understood has a story too. */
export const CORPUS: readonly { readonly seed: number; readonly found: string }[] = [
  { seed: 1, found: 'a node that forgot a peer dialled it again when the connection broke' },
  { seed: 10, found: 'a coordinator acknowledged a put it had only read of' },
  { seed: 15, found: 'the second of two changes at one node had the name of the first' },
  { seed: 20, found: 'in a full hint store a hint for a former owner blocked all others' },
  { seed: 1046, found: 'a node replaced by mistake said that it had left while keys were read' },
  {
    seed: 3321079,
    found: 'a node removed by mistake gave away what it held while keys were read and listed',
  },
  { seed: 425200783, found: 'a read repair brought a record longer than its replica may keep' },
  { seed: 425300551, found: 'a node replaced by itself was a member and retired at once' },
  { seed: 425171089, found: 'first words lost on a link kept a leaver from emptying itself' },
  {
    seed: 425400873,
    found: 'a node put back to an old backup was not recognised in its last second',
  },
  { seed: 451000520, found: 'a node on an old copy of its directory took itself for whole' },
  { seed: 460001374, found: 'a node whose removal the history made void took no part for ever' },
  {
    seed: 480000142,
    found: 'two commits of the simulated disk changed places where a clock began to drift',
  },
  {
    seed: 600000928,
    found: 'a leaver that had not heard of it counted a strict put that its heir never saw',
  },
  {
    seed: 600000984,
    found: 'two living nodes took longer to read all keys than the check of scans thought',
  },
  { seed: 620000073, found: 'a long frame after a lost hello counted as a malformed one' },
  {
    seed: 920000089,
    found: 'hints were kept for a copy that another hint had taken along a moment before',
  },
  {
    seed: 141432065,
    found: 'the check of former owners asked one that became an owner after the delete was decided',
  },
  {
    seed: 990000241,
    found: 'a node whose first commit failed went on until the second one did',
  },
  { seed: 770163, found: 'the judge of conditions took a truncated write that came back for none' },
];

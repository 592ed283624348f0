/**
 * While a simulated world runs, the real clock, chance and timers are replaced by ones that throw:
 * a leak would make a seed two stories, so it has to fail loudly.
 */

export class RealTimeLeak extends Error {
  override readonly name = 'RealTimeLeak';
}

type Place = { readonly on: object; readonly names: readonly string[] };

const PLACES: readonly Place[] = [
  {
    on: globalThis,
    names: ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'],
  },
  { on: Math, names: ['random'] },
  { on: globalThis.performance, names: ['now'] },
  { on: globalThis.crypto, names: ['getRandomValues', 'randomUUID'] },
];

/** Runs `task`, within which real time and chance throw RealTimeLeak; they are back afterwards. */
export const withoutRealTime = <T>(task: () => T): T => {
  const putBack = banRealTime();
  try {
    return task();
  } finally {
    putBack();
  }
};

/** As `withoutRealTime` for a task that awaits nothing but promises of its own. */
export const withoutRealTimeAsync = async <T>(task: () => Promise<T>): Promise<T> => {
  const putBack = banRealTime();
  try {
    return await task();
  } finally {
    putBack();
  }
};

const banRealTime = (): (() => void) => {
  timeAsked = 0;
  const undo = PLACES.flatMap(({ on, names }) =>
    names.map((name) => replace(on, name, () => leak(name))),
  );
  const RealDate = globalThis.Date;
  undo.push(replace(RealDate, 'now', noticeTime));
  const guarded = new Proxy(RealDate, {
    construct: (target, given: unknown[]) =>
      given.length === 0 ? leak('a Date of now') : (Reflect.construct(target, given) as object),
    apply: () => leak('Date()'),
  });
  undo.push(replace(globalThis, 'Date', guarded));
  return () => {
    for (const back of undo.reverse()) back();
  };
};

const leak = (name: string): never => {
  throw new RealTimeLeak(`${name} was used in a simulated world: take it from a port`);
};

/**
 * XState notes when it scheduled an event, for its inspection only: nothing depends on that, and it
 * is told 0. Who asks is looked up for the first calls and now and then: a stack costs much.
 */
const noticeTime = (): number => {
  timeAsked += 1;
  if (timeAsked > ALWAYS_LOOKED_AT && timeAsked % LOOKED_AT_EVERY !== 0) return 0;
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 3;
  const { stack } = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  if (stack?.includes('xstate') === true) return 0;
  return leak('Date.now');
};

const ALWAYS_LOOKED_AT = 200;
const LOOKED_AT_EVERY = 997;
let timeAsked = 0;

const replace = (on: object, name: string, by: unknown): (() => void) => {
  const before = Object.getOwnPropertyDescriptor(on, name);
  Object.defineProperty(on, name, { value: by, configurable: true, writable: true });
  return () => {
    if (before === undefined) Reflect.deleteProperty(on, name);
    else Object.defineProperty(on, name, before);
  };
};

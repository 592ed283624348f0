/** What Node runs a node of coterie with. */
import { setFlagsFromString } from 'node:v8';

/**
 * Where we start it; `src/ops` says the same in NODE_OPTIONS. Nearly all that a request leaves behind
 * dies young if the young generation has room for it: with 32 MiB a half in place of 16 the same
 * requests cost about a tenth less CPU, and a node under load holds up to 48 MiB more.
 */
export const NODE_FLAGS = ['--max-semi-space-size=32'] as const;

/**
 * For every node of `coterie start`; who runs one in a process of their own decides there.
 *
 * V8 looks which places in the code make objects that live on, and makes those of them at once in the
 * old generation. Of a request that is decided in the first seconds, when many wait: later all that it
 * had is kept until a full collection.
 *
 * And it begins a full collection when the old generation has grown by some MB, which under steady
 * writes is every other second. At three times what lived after the last one they are rare; what that
 * spares is told in bench/HISTORY.md.
 */
export const tuneCollector = (): void => {
  setFlagsFromString('--no-allocation-site-pretenuring');
  setFlagsFromString('--heap-growing-percent=200');
};

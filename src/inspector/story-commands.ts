/** The stories a node keeps of requests that were slow, failed or met siblings, by command (`coterie story`). */
import type { NodeId } from '../core/ids.ts';
import type { AdminCommands } from '../node/operators/admin-commands.ts';
import { badArgument } from '../wire/fields.ts';
import type { Recorder } from './recorder.ts';

/** `recorder` undefined: this node has no inspector, and keeps none. */
export const storyCommands = (self: NodeId, recorder: Recorder | undefined): AdminCommands => ({
  'story.list': (_, answer) =>
    answer({ node: self, kept: recorder !== undefined, stories: recorder?.stories() ?? [] }),
  /** `records` absent: it is not kept here, or not any more. */
  'story.show': ({ story }, answer) => {
    if (typeof story !== 'string') throw badArgument('the argument story', 'its name', story);
    const records = recorder?.replay(story);
    answer({ node: self, ...(records === undefined ? {} : { records }) });
  },
});

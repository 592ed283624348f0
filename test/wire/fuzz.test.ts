/** Altered frames against the decoders, as many as a test may take; .ci/run takes a million. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { fuzz } from './fuzz.ts';

const decoders = suite('decoders of what others send');

decoders('understand or refuse every altered frame, quickly', () => {
  const { frames, answers, understood } = fuzz(20_000, 1);
  // Else it is not the decoders that are tried, but their first line.
  assert.ok(answers > 120, `${answers} kinds of answers`);
  assert.ok(understood > frames / 100, `${understood} understood`);
});

decoders.run();

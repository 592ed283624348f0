/** Numbers that each could be and together cannot: how the settings of a node depend on each other. */
import type { Config } from './config.ts';

/**
 * What is wrong with `config` as a whole, as a sentence that names both settings; undefined if it
 * can be. Bounds of single numbers are checked where they are read (settings.ts).
 */
export const impossibleIn = (config: Config): string | undefined => {
  const must: readonly (readonly [boolean, string])[] = [
    notAbove(
      'suspicion.suspectAfterMs',
      config.suspicion.suspectAfterMs,
      'suspicion.downAfterMs',
      config.suspicion.downAfterMs,
    ),
    notAbove(
      'detectorTickMs',
      config.detectorTickMs,
      'suspicion.downAfterMs',
      config.suspicion.downAfterMs,
    ),
    notAbove('redialMinMs', config.redialMinMs, 'redialMaxMs', config.redialMaxMs),
    notAbove('patienceMs', config.patienceMs, 'requestTimeoutMs', config.requestTimeoutMs),
    notAbove(
      'valueBytesMax',
      config.valueBytesMax,
      'replica.recordBytesMax',
      config.replica.recordBytesMax,
    ),
    roomFor(
      'valueBytesMax',
      config.valueBytesMax,
      'links.clientFrameBytesMax',
      config.links.clientFrameBytesMax,
    ),
    roomFor(
      'replica.recordBytesMax',
      config.replica.recordBytesMax,
      'links.peerFrameBytesMax',
      config.links.peerFrameBytesMax,
    ),
    roomFor(
      'hintBatchBytesMax',
      config.hintBatchBytesMax,
      'links.peerFrameBytesMax',
      config.links.peerFrameBytesMax,
    ),
    // The owner of a batch rests ahead of it and behind it.
    notAbove(
      'twice admission.restMaxMs',
      2 * config.admission.restMaxMs,
      'exchangeRepairTimeoutMs',
      config.exchangeRepairTimeoutMs,
    ),
  ];
  return must.find(([holds]) => !holds)?.[1];
};

/** A frame holds more than the values: keys, contexts, vectors. */
const FRAME_OVERHEAD_BYTES = 64 * 1024;

const notAbove = (a: string, aValue: number, b: string, bValue: number) =>
  [aValue <= bValue, `${a} (${aValue}) is above ${b} (${bValue})`] as const;

const roomFor = (a: string, aValue: number, b: string, bValue: number) =>
  [
    aValue + FRAME_OVERHEAD_BYTES <= bValue,
    `${b} (${bValue}) has no room for ${a} (${aValue}) and ${FRAME_OVERHEAD_BYTES} bytes around it`,
  ] as const;

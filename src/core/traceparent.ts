/** The header of W3C Trace Context, version 00: whose request a request is part of. */

export type Traceparent = {
  /** 32 hex digits, not all 0. */
  readonly traceId: string;
  /** 16 hex digits, not all 0: the span that asked. */
  readonly spanId: string;
  /** Whether whoever asked records this trace. */
  readonly sampled: boolean;
};

const FORM = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/;

/** Undefined for what is none: the standard has it ignored, never refused. */
export const parseTraceparent = (text: string): Traceparent | undefined => {
  const [, traceId, spanId, flags] = FORM.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  // Version 00 ends here; a later one may go on.
  if (text.startsWith('00-') && text.length !== 55) return undefined;
  return { traceId, spanId, sampled: (parseInt(flags, 16) & 1) === 1 };
};

/**
 * Preloaded into a node's process it makes it speak the next minor version of both protocols, as a
 * later release might: to each message between nodes it adds a field at the end, before each it says
 * one of a type that nobody knows yet, and each answer to a client has one element and its welcome one
 * limit more. Nothing of it stands in the node itself: the encoders are wrapped as they are loaded.
 */
import { register } from 'node:module';

/** By the end of a module's path: the encoder that is renamed, and what is said in its stead. */
const LATER = {
  '/src/wire/peer-codec.js': {
    named: 'encodePeerFrame',
    instead: `
      export const encodePeerFrame = (messages) => messages.flatMap((message) =>
        ofThisVersion([message]).map((frame) => {
          const later = Buffer.alloc(frame.length + 7 + 3);
          later.set([0, 0, 0, 3, 250, 1, 2]);
          later.set(frame, 7);
          later.set([7, 7, 7], 7 + frame.length);
          later.writeUInt32BE(frame.length - 4 + 3, 7);
          return new Uint8Array(later);
        }));`,
  },
  '/src/wire/reply-codec.js': {
    named: 'encodeServerReply',
    instead: `
      import { decodeCbor as decodeLater, encodeCbor as encodeLater } from './cbor.js';
      export const encodeServerReply = (id, reply) => {
        const limits = reply.type === 'welcome' ? { limits: { ...reply.limits, newsMax: 3 } } : {};
        const fields = decodeLater(ofThisVersion(id, { ...reply, ...limits }));
        return encodeLater([...fields, 'news']);
      };`,
  },
};

const hooks = `
  const later = ${JSON.stringify(LATER)};
  export const load = async (url, context, next) => {
    const loaded = await next(url, context);
    const [, change] = Object.entries(later).find(([path]) => url.endsWith(path)) ?? [];
    if (change === undefined) return loaded;
    const text = String(loaded.source);
    const named = 'export const ' + change.named + ' = ';
    if (!text.includes(named)) throw new Error(url + ' has no ' + change.named);
    const source = text.replace(named, 'const ofThisVersion = ') + change.instead;
    return { ...loaded, source };
  };`;

register(`data:text/javascript,${encodeURIComponent(hooks)}`);

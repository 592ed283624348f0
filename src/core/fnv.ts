/** FNV-1a, 32 bits: a quick hash of text for tables and labels, no digest. */
export const FNV_START = 0x811c9dc5;

/** As a signed number; `start`: of another hash, or of what came before. */
export const fnv1a = (text: string, start = FNV_START): number => {
  let hash = start;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
};

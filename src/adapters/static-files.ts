/** A folder of files, read and compressed once: the table that the admin listener serves pages from. */
import { readFileSync, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { AdminRoute } from '../ports/admin.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
};

/** Each file of `dir` under its name; `index.html` also as the folder itself, `prefix`. */
export const staticRoutes = (dir: string, prefix: string): ReadonlyMap<string, AdminRoute> => {
  const routes = new Map<string, AdminRoute>();
  for (const name of filesOf(dir)) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const body = new Uint8Array(readFileSync(join(dir, name)));
    const reply = { status: 200, type, body, gzipped: gzipSync(body) };
    const route: AdminRoute = { access: 'token', serve: () => reply };
    routes.set(`${prefix}/${name}`, route);
    if (name === 'index.html') for (const path of [prefix, `${prefix}/`]) routes.set(path, route);
  }
  return routes;
};

const filesOf = (dir: string): readonly string[] => {
  try {
    return readdirSync(dir);
  } catch {
    // Run from sources without a build of the page: the rest of the listener works.
    return [];
  }
};

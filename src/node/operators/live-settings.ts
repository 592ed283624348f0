/**
 * Settings that may change while the node runs (`live` in CONFIGURATION.md): rates, limits, and how
 * much is logged. Whoever uses a live limit reads it from the config each time; what is set here
 * holds until the process ends.
 */
import type { LogLevels } from '../../ports/trace.ts';
import { impossibleIn } from '../config-checks.ts';
import { LIMITS } from '../config.ts';
import type { Config } from '../config.ts';
import { namedLimits, valuesOf } from './limits.ts';
import { LOG_LEVELS } from './options.ts';
import { SETTINGS, parsed } from './settings.ts';

export type LiveSetting = {
  readonly name: string;
  readonly value: number | string;
  readonly change: 'live' | 'restart';
};

const LOG_LEVEL = 'logLevel';
/** `logLevel.handoff`: of one actor, or of events that begin with that word. */
const SUBJECT_LEVEL = /^logLevel\.([A-Za-z]{1,32})$/;
/** Names come from outside; more subjects than there can be are a mistake. */
const SUBJECTS_MAX = 64;

export class LiveSettings {
  readonly #config: Config;
  readonly #levels: LogLevels | undefined;
  readonly #levelsChanged: () => void;

  /** `config` is changed in place: it must be this node's own. */
  constructor(config: Config, levels: LogLevels | undefined, levelsChanged: () => void) {
    this.#config = config;
    this.#levels = levels;
    this.#levelsChanged = levelsChanged;
  }

  /** Every limit as it holds now, and the log levels. */
  list(): readonly LiveSetting[] {
    const limits = namedLimits(LIMITS).map(([name, { change }]): LiveSetting => ({
      name,
      value: this.#valueOf(name),
      change,
    }));
    const levels = this.#levels;
    if (levels === undefined) return limits;
    const said = [[LOG_LEVEL, levels.general] as const].concat(
      [...levels.subjects].map(([subject, level]) => [`${LOG_LEVEL}.${subject}`, level] as never),
    );
    return [...said.map(([name, value]) => ({ name, value, change: 'live' as const })), ...limits];
  }

  /** Sets one and says what was before. Throws RangeError naming what cannot be; then nothing changed. */
  set(
    name: string,
    raw: unknown,
  ): { readonly before: number | string; readonly after: number | string } {
    if (name === LOG_LEVEL || SUBJECT_LEVEL.test(name)) return this.#setLevel(name, raw);
    const setting = SETTINGS.find((each) => each.name === name);
    if (setting === undefined) throw new RangeError(`${name} is no setting: see coterie config`);
    const limit = namedLimits(LIMITS).find(([each]) => each === name)?.[1];
    if (limit?.change !== 'live') {
      throw new RangeError(`${name} cannot change while the node runs: set it and restart`);
    }
    const after = parsed(setting, raw, name) as number;
    const wanted = valuesOf(LIMITS, (each) => (each === name ? after : this.#valueOf(each)));
    const impossible = impossibleIn(wanted);
    if (impossible !== undefined) throw new RangeError(impossible);
    const before = this.#valueOf(name);
    const { group, last } = this.#locate(name);
    group[last] = after;
    return { before, after };
  }

  #setLevel(name: string, raw: unknown): { readonly before: string; readonly after: string } {
    const levels = this.#levels;
    if (levels === undefined) throw new RangeError(`${name}: the log of this node is not its own`);
    const subject = SUBJECT_LEVEL.exec(name)?.[1];
    const choices = subject === undefined ? LOG_LEVELS : [...LOG_LEVELS, 'inherited' as const];
    const level = choices.find((each) => each === raw);
    if (level === undefined) {
      const found = JSON.stringify(raw);
      throw new RangeError(`${name}: expected one of ${choices.join(', ')}, found ${found}`);
    }
    if (subject !== undefined && !levels.subjects.has(subject)) {
      if (levels.subjects.size >= SUBJECTS_MAX) {
        throw new RangeError(`${name}: at most ${SUBJECTS_MAX} subjects have a level of their own`);
      }
    }
    const said = () =>
      subject === undefined ? levels.general : (levels.subjects.get(subject) ?? 'inherited');
    const before = said();
    levels.set(level, subject);
    this.#levelsChanged();
    return { before, after: said() };
  }

  #valueOf(name: string): number {
    const { group, last } = this.#locate(name);
    return group[last] as number;
  }

  #locate(name: string): { readonly group: Record<string, unknown>; readonly last: string } {
    const path = name.split('.');
    const last = path.pop()!;
    const config = this.#config as unknown as Record<string, unknown>;
    const group = path.reduce((at, step) => at[step] as Record<string, unknown>, config);
    return { group, last };
  }
}

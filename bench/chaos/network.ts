/**
 * A network of our own for each node: a namespace with one cable to a common bridge, so that cuts,
 * black holes and a line too thin for its traffic are the kernel's work and not a pretence of ours.
 * Where namespaces may not be made, nodes share loopback, and the faults of the network are left out.
 */
import { execFileSync } from 'node:child_process';

export type Host = { readonly id: string; readonly ip: string };

/** The net that nodes live in; `.254` is the bridge, where clients are. */
const NET = '10.93.7';
const THIN_LINE = ['tbf', 'rate', '400kbit', 'burst', '8kb', 'latency', '120ms'];

export class Network {
  readonly hosts: readonly Host[];
  /** Why there is none of our own, if so. */
  readonly missing: string | undefined;
  readonly #tag = `ct${process.pid % 10_000}`;

  constructor(ids: readonly string[]) {
    this.missing = attempt(() => {
      ip('link', 'add', this.#bridge, 'type', 'bridge');
      ip('addr', 'add', `${NET}.254/24`, 'dev', this.#bridge);
      ip('link', 'set', this.#bridge, 'up');
      ids.forEach((id, index) => this.#plug(id, `${NET}.${index + 1}`));
    });
    if (this.missing !== undefined) this.remove(ids);
    this.hosts = ids.map((id, index) => ({
      id,
      ip: this.missing === undefined ? `${NET}.${index + 1}` : '127.0.0.1',
    }));
  }

  /** The command that runs `command` where that node lives. */
  within(id: string, command: readonly string[]): readonly string[] {
    return this.missing === undefined
      ? ['ip', 'netns', 'exec', this.#space(id), ...command]
      : command;
  }

  /** Pulls the plug of one node. */
  unplug(id: string): void {
    ip('link', 'set', this.#cable(id), 'down');
  }

  plugIn(id: string): void {
    ip('link', 'set', this.#cable(id), 'up');
  }

  /** What `from` sends to `to` vanishes; the other way is open. */
  blackhole(from: string, to: string): void {
    this.#inside(from, 'route', 'add', 'blackhole', `${this.#ipOf(to)}/32`);
  }

  open(from: string, to: string): void {
    this.#inside(from, 'route', 'del', 'blackhole', `${this.#ipOf(to)}/32`);
  }

  /** What arrives at a node passes a thin line: it queues, comes late, and some of it is dropped. */
  thin(id: string): void {
    execFileSync('tc', ['qdisc', 'replace', 'dev', this.#cable(id), 'root', ...THIN_LINE]);
  }

  widen(id: string): void {
    execFileSync('tc', ['qdisc', 'del', 'dev', this.#cable(id), 'root']);
  }

  remove(ids: readonly string[]): void {
    for (const id of ids) attempt(() => ip('netns', 'del', this.#space(id)));
    attempt(() => ip('link', 'del', this.#bridge));
  }

  #plug(id: string, address: string): void {
    ip('netns', 'add', this.#space(id));
    const inner = `${this.#cable(id)}i`;
    ip('link', 'add', this.#cable(id), 'type', 'veth', 'peer', 'name', inner);
    ip('link', 'set', inner, 'netns', this.#space(id));
    ip('link', 'set', this.#cable(id), 'master', this.#bridge, 'up');
    this.#inside(id, 'addr', 'add', `${address}/24`, 'dev', inner);
    this.#inside(id, 'link', 'set', inner, 'up');
    this.#inside(id, 'link', 'set', 'lo', 'up');
  }

  #inside(id: string, ...args: readonly string[]): void {
    ip('-n', this.#space(id), ...args);
  }

  #ipOf(id: string): string {
    return this.hosts.find((host) => host.id === id)!.ip;
  }

  get #bridge(): string {
    return `${this.#tag}br`;
  }

  #space(id: string): string {
    return `${this.#tag}-${id}`;
  }

  #cable(id: string): string {
    return `${this.#tag}${id}`;
  }
}

const ip = (...args: readonly string[]): void => {
  execFileSync('ip', [...args], { stdio: ['ignore', 'ignore', 'pipe'] });
};

/** Why `task` could not be done, if so. */
const attempt = (task: () => void): string | undefined => {
  try {
    task();
    return undefined;
  } catch (error) {
    return (error as Error).message.split('\n')[0];
  }
};

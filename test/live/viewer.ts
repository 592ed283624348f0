/** A page without a page: what a browser would get of the inspector, for tests. */
import { WebSocket } from 'ws';
import type {
  Ask,
  FeedMessage,
  Gauges,
  InspectionRecord,
  PageMessage,
  StorySummary,
} from '../../src/inspector/records.ts';

const DEADLINE_MS = 15_000;
type Question = Ask extends infer A ? (A extends { id: number } ? Omit<A, 'id'> : never) : never;

export class Viewer {
  readonly records: InspectionRecord[] = [];
  readonly stories: StorySummary[] = [];
  readonly gauges = new Map<string, Gauges>();
  readonly closed: Promise<number>;
  everything = '';
  dropped = 0;
  takesRecords = true;
  readonly #ws: WebSocket;
  readonly #waiting = new Map<number, (answer: unknown, refusal?: string) => void>();
  readonly #conditions = new Set<() => void>();
  #asked = 0;

  private constructor(ws: WebSocket) {
    this.#ws = ws;
    this.closed = new Promise((resolve) => ws.on('close', resolve));
    ws.on('message', (data: Buffer) => this.#hear(data.toString()));
  }

  static async open(inspectorUrl: string): Promise<Viewer> {
    const ws = new WebSocket(`${inspectorUrl.replace('http', 'ws')}/feed`);
    const viewer = new Viewer(ws);
    await new Promise((resolve, reject) => {
      ws.once('open', resolve);
      ws.once('error', reject);
    });
    return viewer;
  }

  watch(sampleEvery: number): void {
    this.#send({ type: 'watch', sampleEvery });
  }

  say(text: string): void {
    this.#ws.send(text);
  }

  /** Rejects with `refused: …` if the node refuses. */
  ask(node: string, question: Question): Promise<unknown> {
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${node} did not answer`)), DEADLINE_MS);
      this.#waiting.set(id, (answer, refusal) => {
        clearTimeout(timer);
        if (refusal === undefined) resolve(answer);
        else reject(new Error(`refused: ${refusal}`));
      });
      this.#send({ type: 'ask', node, ask: { ...question, id } as Ask });
    });
  }

  /** Resolves as soon as `met` holds after a message. */
  until(what: string, met: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#conditions.delete(look);
        reject(new Error(`waited in vain: ${what}`));
      }, DEADLINE_MS);
      const look = (): void => {
        if (!met()) return;
        clearTimeout(timer);
        this.#conditions.delete(look);
        resolve();
      };
      this.#conditions.add(look);
      look();
    });
  }

  close(): void {
    this.#ws.terminate();
  }

  #send(message: PageMessage): void {
    this.#ws.send(JSON.stringify(message));
  }

  #hear(text: string): void {
    this.everything += text;
    const message = JSON.parse(text) as FeedMessage;
    if (message.type === 'welcome') return;
    const { node, tell } = message;
    if (tell.type === 'gauges') this.gauges.set(node, tell.gauges);
    else if (tell.type === 'records') {
      this.records.push(...tell.records);
      this.stories.push(...tell.stories);
      this.dropped += tell.dropped;
      if (this.takesRecords) this.#send({ type: 'taken', records: tell.records.length });
    } else {
      const waiting = this.#waiting.get(tell.id);
      this.#waiting.delete(tell.id);
      if (tell.type === 'answer') waiting?.(tell.answer);
      else waiting?.(undefined, tell.reason);
    }
    for (const look of this.#conditions) look();
  }
}

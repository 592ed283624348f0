/** Long-lived actors as the inspector shows them. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { createActor, setup } from 'xstate';
import { ActorObserver } from '../../src/inspector/actor-observer.ts';
import type { Happening } from '../../src/inspector/translate.ts';
import { systemClock } from '../../src/adapters/system-clock.ts';

const observer = suite('the observer of actors');

/** A supervisor with one clerk, who is sent `burst` events before it can turn to the first. */
const office = () => {
  const clerk = setup({}).createMachine({
    initial: 'sitting',
    states: { sitting: { on: { work: {} } } },
  });
  const supervisor = setup({
    types: { context: {} as { readonly crashes: { readonly clerk: number } } },
    actors: { clerk },
  }).createMachine({
    context: { crashes: { clerk: 0 } },
    invoke: { src: 'clerk', systemId: 'clerk' },
    initial: 'open',
    states: { open: { on: { close: 'closed' } }, closed: {} },
  });
  const told: [string, Happening][] = [];
  const watching = new ActorObserver({
    clock: systemClock,
    nowMs: () => 1000,
    recordsPerSecond: 3,
    tell: (actor, happening) => told.push([actor, happening]),
  });
  const root = createActor(supervisor);
  watching.supervises(root);
  const gauge = (name: string) => watching.gauges().find(({ actor }) => actor === name)!;
  return { root, watching, told, gauge, clerk: () => root.system.get('clerk')! };
};

observer('counts what each actor takes, and how many events waited behind another', () => {
  const { root, watching, gauge, clerk } = office();
  watching.observe();
  root.start();
  assert.deepEqual([gauge('clerk').state, gauge('clerk').mailbox], ['sitting', 0]);
  const before = gauge('clerk').events;
  // An observer is called while the event is being worked off: what it sends has to wait.
  let bursts = 1;
  const subscription = clerk().subscribe(() => {
    if (bursts-- > 0) for (let i = 0; i < 3; i++) clerk().send({ type: 'work' });
  });
  clerk().send({ type: 'work' });
  subscription.unsubscribe();
  const after = gauge('clerk');
  assert.deepEqual([after.events - before, after.mailbox], [4, 3]);
  assert.equal(gauge('clerk').mailbox, 0, 'since the gauges before');
  assert.equal(gauge('node').mailbox, 0);
  root.stop();
});

observer('tells so many records a second, and nothing at rest', () => {
  const { root, watching, told, gauge, clerk } = office();
  watching.observe();
  root.start();
  for (let i = 0; i < 10; i++) clerk().send({ type: 'work' });
  assert.equal(told.filter(([actor]) => actor === 'clerk').length, 3);
  root.send({ type: 'close' });
  assert.equal(gauge('node').state, 'closed');
  const heard = told.length;
  watching.rest();
  const { events } = gauge('clerk');
  clerk().send({ type: 'work' });
  assert.deepEqual([told.length, gauge('clerk').events], [heard, events]);
  root.stop();
});

observer.run();

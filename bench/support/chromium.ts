/** Debian's Chromium as tests and benchmarks run it: no window, no calls home. */
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext } from 'playwright-core';

const OPTIONS = {
  executablePath: '/usr/bin/chromium',
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
};

export const launchChromium = (): Promise<Browser> => chromium.launch(OPTIONS);

/** With a profile of its own in `directory`, as a person's browser has. */
export const launchProfile = (directory: string): Promise<BrowserContext> =>
  chromium.launchPersistentContext(directory, OPTIONS);

// A recording, sent as a microphone would: 20 ms at a time, and silence after it.

import { readFileSync } from 'node:fs';

// How long answers of so many bytes play (24 kHz, 16 bits).
export const playedInMs = (bytes) => bytes / 48;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function speak(path, rateHz, send, { pace = 4, silenceMs = 1200 } = {}) {
  const quiet = Buffer.alloc(2 * ((rateHz * silenceMs) / 1000));
  const audio = Buffer.concat([quiet.subarray(0, rateHz / 5), readFileSync(path), quiet]);
  const bytes = (rateHz / 50) * 2;
  for (let at = 0; at < audio.length; at += bytes) {
    send(audio.subarray(at, at + bytes));
    await pause(20 / pace);
  }
}

// Waits until `reached` is true of what has come so far; `changed` says that more has come.
export class Waiting {
  #waiting = new Set();

  changed() {
    for (const check of this.#waiting) check();
  }

  until(what, reached, timeoutMs = 45_000) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(check);
        reject(new Error(`no ${what}`));
      }, timeoutMs);
      const check = () => {
        if (!reached()) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }
}

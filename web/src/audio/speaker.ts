/** The answer's audio: played in order, stopped at once, its position known. */

import { RATE_HZ } from "./pcm";
import playerUrl from "./player.worklet.ts?worker&url";
import type { FromPlayer, ToPlayer } from "./player.worklet";

export interface Heard {
  item: string;
  ms: number;
}

export interface SpeakerEvents {
  began(item: string): void;
  /** Told about twenty times a second while there is something to hear, and at its end. */
  at(heard: Heard, loudness: number): void;
  idle(): void;
  /** What was heard of each item that was not played to its end. */
  stopped(heard: Heard[]): void;
}

export class Speaker {
  private context: AudioContext | null = null;
  private player: AudioWorkletNode | null = null;
  private waiting: ToPlayer[] = [];
  /** Whether there is something to play. */
  playing = false;
  /** How far it had come at the last report. */
  position: Heard | null = null;

  constructor(private readonly events: SpeakerEvents) {}

  get isOpen(): boolean {
    return this.context !== null;
  }

  async open(deviceId: string): Promise<void> {
    if (this.context === null) {
      const context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
      this.context = context;
      await context.audioWorklet.addModule(playerUrl);
      const player = new AudioWorkletNode(context, "player", { numberOfInputs: 0, outputChannelCount: [1] });
      player.port.onmessage = ({ data }: MessageEvent<FromPlayer>) => this.follow(data);
      player.connect(context.destination);
      this.player = player;
      for (const message of this.waiting.splice(0)) player.port.postMessage(message);
    }
    await this.choose(deviceId);
    // Without a touch by the user this never comes back, so it is not waited for.
    void this.context.resume();
  }

  async choose(deviceId: string): Promise<void> {
    const context = this.context as (AudioContext & { setSinkId?: (id: string) => Promise<void> }) | null;
    await context?.setSinkId?.(deviceId);
  }

  play(item: string, samples: Float32Array): void {
    this.playing = true;
    this.send({ do: "play", item, samples });
  }

  /** Be silent at once; `stopped` tells what was heard. */
  stop(): void {
    if (!this.playing) return;
    this.playing = false;
    this.send({ do: "stop" });
  }

  private send(message: ToPlayer): void {
    if (this.player === null) this.waiting.push(message);
    else this.player.port.postMessage(message, "samples" in message ? [message.samples.buffer] : []);
  }

  private follow(message: FromPlayer): void {
    switch (message.is) {
      case "began":
        this.events.began(message.item);
        break;
      case "at":
        this.position = heard(message.position.item, message.position.played, this.latencyMs);
        this.events.at(this.position, message.loudness);
        break;
      case "idle":
        this.playing = false;
        this.events.at(heard(message.position.item, message.position.played, this.latencyMs), 0);
        this.events.idle();
        break;
      case "stopped":
        // What the device holds already will still be heard, so nothing is subtracted here.
        this.events.stopped(message.positions.map((position) => heard(position.item, position.played, 0)));
        break;
    }
  }

  private get latencyMs(): number {
    const seconds = this.context?.outputLatency || this.context?.baseLatency || 0;
    return seconds * 1000;
  }
}

function heard(item: string, samples: number, latencyMs: number): Heard {
  return { item, ms: Math.max(0, Math.floor((samples * 1000) / RATE_HZ - latencyMs)) };
}

/** On the audio thread: plays the answer and knows to the sample how far it has come. */

import { loudness } from "./pcm";
import { Playlist, type Position } from "./playlist";

export type ToPlayer = { do: "play"; item: string; samples: Float32Array } | { do: "stop" };

export type FromPlayer =
  | { is: "began"; item: string }
  | { is: "at"; position: Position; loudness: number }
  | { is: "idle"; position: Position }
  | { is: "stopped"; positions: Position[] };

/** Blocks of 128 samples between two reports: 53 ms at 24 kHz. */
const REPORT_BLOCKS = 10;

class Player extends AudioWorkletProcessor {
  private readonly playlist = new Playlist();
  private last: Position | null = null;
  private blocks = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<ToPlayer>) => {
      if (data.do === "play") this.playlist.push(data.item, data.samples);
      else {
        this.tell({ is: "stopped", positions: this.playlist.stop() });
        this.last = null;
      }
    };
  }

  process(_inputs: unknown, outputs: Float32Array[][]): boolean {
    const output = outputs[0]?.[0];
    if (output === undefined) return true;
    const before = this.playlist.current;
    for (const item of this.playlist.pull(output)) this.tell({ is: "began", item });
    if (before !== null) {
      this.last = before;
      this.blocks += 1;
      if (this.blocks % REPORT_BLOCKS === 0) this.tell({ is: "at", position: plain(before), loudness: loudness(output) });
    }
    if (this.last !== null && this.playlist.current === null) {
      this.tell({ is: "idle", position: plain(this.last) });
      this.last = null;
    }
    return true;
  }

  private tell(message: FromPlayer): void {
    this.port.postMessage(message);
  }
}

function plain({ item, played, received }: Position): Position {
  return { item, played, received };
}

registerProcessor("player", Player);

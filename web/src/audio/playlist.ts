/** What an answer's audio has still to play, and how much of each item was played, to the sample. */

/** Samples over which sound that is broken off dies away, so that it does not click. */
const FADE_SAMPLES = 96;

export interface Position {
  item: string;
  /** Samples that were played. */
  played: number;
  /** Samples that came. */
  received: number;
}

interface Track extends Position {
  blocks: Float32Array[];
  /** Samples of the first block that were played. */
  offset: number;
}

export class Playlist {
  private tracks: Track[] = [];
  private tail: Float32Array = new Float32Array(0);

  /** The item that is being played or comes next; null when there is nothing to play. */
  get current(): Position | null {
    return this.tracks.find((track) => track.blocks.length > 0) ?? null;
  }

  push(item: string, samples: Float32Array): void {
    let track = this.tracks.find((known) => known.item === item);
    if (track === undefined) {
      track = { item, played: 0, received: 0, blocks: [], offset: 0 };
      this.tracks.push(track);
      // Items end without a word, so the last one is kept: more of it may come.
      this.tracks = this.tracks.filter((known) => known.blocks.length > 0 || known === track);
    }
    if (samples.length === 0) return;
    track.blocks.push(samples);
    track.received += samples.length;
  }

  /** Fill a block with what comes next, silence where there is nothing. Returns the items that began in it. */
  pull(output: Float32Array): string[] {
    const began: string[] = [];
    let at = this.fade(output);
    for (const track of this.tracks) {
      while (at < output.length && track.blocks.length > 0) {
        if (track.played === 0) began.push(track.item);
        const block = track.blocks[0] as Float32Array;
        const part = block.subarray(track.offset, track.offset + output.length - at);
        output.set(part, at);
        at += part.length;
        track.played += part.length;
        track.offset += part.length;
        if (track.offset === block.length) {
          track.blocks.shift();
          track.offset = 0;
        }
      }
    }
    output.fill(0, at);
    return began;
  }

  /** Play no more of it. Returns how far each item came that was not played to its end. */
  stop(): Position[] {
    const broken = this.tracks.filter((track) => track.blocks.length > 0);
    const sounding = broken.find((track) => track.played > 0);
    const block = sounding?.blocks[0];
    if (sounding !== undefined && block !== undefined) {
      const rest = block.slice(sounding.offset, sounding.offset + FADE_SAMPLES);
      this.tail = rest.map((sample, i) => sample * (1 - (i + 1) / rest.length));
    }
    this.tracks = [];
    return broken.map(({ item, played, received }) => ({ item, played, received }));
  }

  private fade(output: Float32Array): number {
    const part = this.tail.subarray(0, output.length);
    output.set(part);
    this.tail = this.tail.slice(part.length);
    return part.length;
  }
}

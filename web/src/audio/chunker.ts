/** Makes chunks of equal length, at the protocol's rate, of a microphone's blocks. */

import { RATE_HZ, loudness, toPcm16 } from "./pcm";
import { Resampler } from "./resample";

export const CHUNK_SAMPLES = (RATE_HZ * 40) / 1000;

export interface Chunk {
  samples: Int16Array<ArrayBuffer>;
  loudness: number;
}

export class Chunker {
  private readonly resampler: Resampler;
  private readonly chunk = new Float32Array(CHUNK_SAMPLES);
  private filled = 0;

  constructor(fromHz: number) {
    this.resampler = new Resampler(fromHz, RATE_HZ);
  }

  push(block: Float32Array): Chunk[] {
    const chunks: Chunk[] = [];
    for (const sample of this.resampler.process(block)) {
      this.chunk[this.filled++] = sample;
      if (this.filled === CHUNK_SAMPLES) {
        this.filled = 0;
        chunks.push({ samples: toPcm16(this.chunk) as Int16Array<ArrayBuffer>, loudness: loudness(this.chunk) });
      }
    }
    return chunks;
  }
}

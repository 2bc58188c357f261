/** On the audio thread: the microphone's blocks become chunks for the server. */

import { Chunker } from "./chunker";

class Capture extends AudioWorkletProcessor {
  private readonly chunker = new Chunker(sampleRate);

  process(inputs: Float32Array[][]): boolean {
    const block = inputs[0]?.[0];
    if (block !== undefined) {
      for (const chunk of this.chunker.push(block)) this.port.postMessage(chunk, [chunk.samples.buffer]);
    }
    return true;
  }
}

registerProcessor("capture", Capture);

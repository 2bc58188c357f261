/** The microphone, in chunks as the server wants them. */

import captureUrl from "./capture.worklet.ts?worker&url";
import type { Chunk } from "./chunker";

export class Microphone {
  private context: AudioContext | null = null;
  private stream: MediaStream | null = null;
  /** Called when the device goes away by itself: unplugged, or taken back by the user. */
  onlost: () => void = () => undefined;

  constructor(private readonly onchunk: (chunk: Chunk) => void) {}

  get isOpen(): boolean {
    return this.stream !== null;
  }

  /** Open a device. Raises what the browser says when it cannot. */
  async open(deviceId: string): Promise<void> {
    this.close();
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: {
        ...(deviceId && { deviceId: { exact: deviceId } }),
        channelCount: 1,
        echoCancellation: true,
        noiseSuppression: true,
        autoGainControl: true,
      },
    });
    // At the device's own rate: not every browser resamples a microphone, so the worklet does.
    const context = new AudioContext({ latencyHint: "interactive" });
    await context.audioWorklet.addModule(captureUrl);
    const capture = new AudioWorkletNode(context, "capture", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    capture.port.onmessage = ({ data }: MessageEvent<Chunk>) => {
      if (this.stream === stream) this.onchunk(data);
    };
    context.createMediaStreamSource(stream).connect(capture);
    stream.getAudioTracks()[0]?.addEventListener("ended", () => {
      if (this.stream !== stream) return;
      this.close();
      this.onlost();
    });
    this.context = context;
    this.stream = stream;
    await context.resume();
  }

  close(): void {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    void this.context?.close();
    this.stream = this.context = null;
  }
}

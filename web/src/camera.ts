/** The camera: a preview, and one picture a second for the server. */

import { encodeBytes } from "./audio/pcm";

const INTERVAL_MS = 1000;
const LONGEST_SIDE = 1024;
const QUALITY = 0.8;
const THUMBNAIL_HEIGHT = 72;

export interface Shot {
  /** Milliseconds since 1970; names the picture. */
  at: number;
  /** JPEG, base64. */
  image: string;
  /** A small one, as a data: URL. */
  thumbnail: string;
}

export class Camera {
  private stream: MediaStream | null = null;
  private timer = 0;
  private readonly canvas = document.createElement("canvas");
  private readonly small = document.createElement("canvas");
  /** Called when the device goes away by itself. */
  onlost: () => void = () => undefined;

  constructor(
    private readonly preview: HTMLVideoElement,
    private readonly onshot: (shot: Shot) => void,
  ) {}

  get isOpen(): boolean {
    return this.stream !== null;
  }

  /** Open a device. Raises what the browser says when it cannot. */
  async open(deviceId: string): Promise<void> {
    this.close();
    const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "environment" };
    const stream = await navigator.mediaDevices.getUserMedia({
      video: { ...which, width: { ideal: 1280 }, height: { ideal: 960 } },
    });
    this.stream = stream;
    this.preview.srcObject = stream;
    stream.getVideoTracks()[0]?.addEventListener("ended", () => {
      if (this.stream !== stream) return;
      this.close();
      this.onlost();
    });
    await this.preview.play();
    void this.shoot();
    this.timer = window.setInterval(() => void this.shoot(), INTERVAL_MS);
  }

  close(): void {
    window.clearInterval(this.timer);
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.preview.srcObject = null;
  }

  private async shoot(): Promise<void> {
    const { videoWidth: width, videoHeight: height } = this.preview;
    if (!width || !height) return;
    const at = Date.now();
    draw(this.preview, this.canvas, Math.min(1, LONGEST_SIDE / Math.max(width, height)));
    draw(this.preview, this.small, THUMBNAIL_HEIGHT / height);
    const blob = await new Promise<Blob | null>((done) => this.canvas.toBlob(done, "image/jpeg", QUALITY));
    if (blob === null || this.stream === null) return;
    const image = encodeBytes(new Uint8Array(await blob.arrayBuffer()));
    this.onshot({ at, image, thumbnail: this.small.toDataURL("image/jpeg", 0.6) });
  }
}

function draw(video: HTMLVideoElement, canvas: HTMLCanvasElement, scale: number): void {
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
}

/** Wires the page together: the server's events to the conversation, the devices to the server. */

import { Microphone } from "./audio/microphone";
import { decodePcm16, encodePcm16 } from "./audio/pcm";
import { Speaker, type Heard } from "./audio/speaker";
import type { Chunk } from "./audio/chunker";
import { Camera, type Shot } from "./camera";
import { EMPTY, reduce, type Action, type Conversation } from "./conversation";
import { Link } from "./link";
import type { Circumstances, Mode } from "./mood";
import { turnsEndedBy, typed, type ServerEvent } from "./protocol";
import { keep, readKept, readPreferences, type Preferences } from "./store";
import { deviceProblem, insecureOrigin, type Device } from "./words";

/** Chunks from before the key was pressed that are sent with it: people begin to speak a little too early. */
const BEFORE_THE_KEY = 6;
const SHORTEST_HOLD_MS = 250;
const REPORT_EVERY_MS = 250;

/** What the page shows; the app calls these, and knows nothing of elements. */
export interface Screen {
  changed(): void;
  loudness(of: "microphone" | "speaker", loudness: number): void;
  banner(text: string | null, action?: { name: string; run: () => void }): void;
  askKey(why: string): void;
  announce(text: string): void;
}

export class App {
  conversation: Conversation;
  readonly preferences: Preferences;
  readonly now: Circumstances;
  readonly camera: Camera;
  readonly microphone = new Microphone((chunk) => this.hear(chunk));
  readonly speaker = new Speaker({
    began: (item) => this.dispatch({ type: "sound", itemId: item, at: performance.now() }),
    at: (heard, loudness) => this.played(heard, loudness),
    idle: () => this.change({ playing: false }),
    stopped: (heard) => this.truncate(heard),
  });
  private readonly link: Link;
  private before: Chunk[] = [];
  private heldSince = 0;
  private reportedAt = 0;
  private saving = 0;

  constructor(
    private readonly screen: Screen,
    preview: HTMLVideoElement,
  ) {
    const kept = readKept(sessionStorage);
    this.conversation = kept.conversation;
    this.preferences = readPreferences(localStorage);
    this.now = {
      connection: "closed",
      microphone: false,
      muted: false,
      mode: this.preferences.mode,
      holding: false,
      playing: false,
    };
    this.camera = new Camera(preview, (shot) => this.see(shot));
    this.camera.onlost = () => this.lostDevice("camera");
    this.microphone.onlost = () => this.lostDevice("microphone");
    this.link = new Link(
      {
        event: (event) => this.follow(event),
        opened: () => this.opened(),
        waiting: (why) => this.disconnected("waiting", why),
        askKey: (why) => this.askKey(why),
        stopped: (why) => this.disconnected("closed", why, { name: "Connect again", run: () => this.connect() }),
        lost: (why) => this.lostSession(why),
      },
      () => this.conversation,
    );
    this.link.key = kept.key;
    window.addEventListener("pagehide", () => this.leave());
    if (this.conversation.sessionId !== null) this.connect();
  }

  // --- the connection ----------------------------------------------------------------------------------------

  connect(): void {
    if (this.now.connection === "open") return;
    this.change({ connection: "waiting" });
    this.link.connect();
  }

  useKey(key: string): void {
    this.link.key = key;
    this.connect();
  }

  /** Leave this conversation for good, and begin another one. */
  restart(): void {
    this.speaker.stop();
    this.link.end();
    this.conversation = EMPTY;
    this.change({ connection: "closed", playing: false });
    this.connect();
  }

  /** The page goes, and with it the sound that it holds: the conversation keeps what was heard. */
  private leave(): void {
    if (this.now.playing) {
      this.link.send({ type: "output_audio_buffer.clear" });
      if (this.speaker.position !== null) this.truncate([this.speaker.position]);
    }
    this.save();
  }

  private opened(): void {
    this.screen.banner(null);
    // A session that is gone on with may have been left in the other mode.
    if (this.conversation.sessionId !== null || this.now.mode === "push-to-talk") this.sendMode();
    this.change({ connection: "open" });
  }

  private disconnected(connection: "waiting" | "closed", why: string, action?: { name: string; run: () => void }): void {
    this.change({ connection });
    this.screen.banner(why, action);
    if (connection === "closed") this.dispatch({ type: "lost", text: why });
  }

  private askKey(why: string): void {
    this.change({ connection: "closed" });
    this.screen.banner(why, { name: "Enter a key", run: () => this.screen.askKey(why) });
    this.screen.askKey(why);
  }

  private lostSession(why: string): void {
    this.speaker.stop();
    this.dispatch({ type: "lost", text: why });
  }

  private follow(event: ServerEvent): void {
    this.dispatch({ type: "event", event, at: performance.now() });
    switch (event.type) {
      case "input_audio_buffer.speech_started":
        this.silence();
        break;
      case "response.output_audio.delta":
        if (!this.speaker.isOpen) this.askForSound();
        this.speaker.play(event.item_id, decodePcm16(event.delta));
        this.change({ playing: true });
        break;
      case "response.done":
        if (event.response.status === "cancelled") this.silence();
        break;
      case "conversation.item.truncated":
        this.link.send({ type: "conversation.item.retrieve", item_id: event.item_id });
        break;
      case "conversation.item.input_audio_transcription.completed":
        this.screen.announce(`You: ${event.transcript}`);
        break;
      case "response.output_audio_transcript.done":
        this.screen.announce(`Hearsight: ${event.transcript}`);
        break;
      case "response.output_item.added":
        if (event.item.type === "mcp_call") this.screen.announce(`It uses ${event.item.name ?? "a tool"}.`);
        break;
    }
  }

  // --- speaking and typing -----------------------------------------------------------------------------------

  /** Open the microphone, and connect. Called by a touch of the user's, so that the page may sound. */
  async start(): Promise<void> {
    const insecure = insecureOrigin(window.isSecureContext, location.origin);
    if (insecure !== null) return this.screen.banner(insecure);
    this.connect();
    await this.openSpeaker();
    try {
      await this.microphone.open(this.preferences.microphone);
    } catch (error) {
      return this.screen.banner(deviceProblem("microphone", error), { name: "Try again", run: () => void this.start() });
    }
    if (this.now.connection === "open") this.screen.banner(null);
    this.change({ microphone: true, muted: false });
  }

  async say(text: string): Promise<void> {
    if (this.now.connection !== "open") {
      this.connect();
      return this.screen.banner("Not connected yet. Send it again in a moment.");
    }
    await this.openSpeaker();
    this.interrupt();
    this.dispatch({ type: "turn", at: performance.now() });
    this.link.send(...typed(text));
  }

  setMuted(muted: boolean): void {
    this.change({ muted });
  }

  setMode(mode: Mode): void {
    this.change({ mode });
    this.prefer({ mode });
    this.link.send({ type: "input_audio_buffer.clear" });
    this.sendMode();
  }

  private sendMode(): void {
    this.link.send(turnsEndedBy(this.now.mode === "push-to-talk" ? "user" : "server"));
  }

  /** The key to talk is pressed. */
  async hold(): Promise<void> {
    if (this.now.holding) return;
    if (!this.microphone.isOpen) return this.start();
    this.interrupt();
    this.heldSince = performance.now();
    this.change({ holding: true });
    for (const chunk of this.before.splice(0)) this.sendAudio(chunk);
  }

  /** The key to talk is let go. */
  release(): void {
    if (!this.now.holding) return;
    this.change({ holding: false });
    if (performance.now() - this.heldSince < SHORTEST_HOLD_MS) {
      this.link.send({ type: "input_audio_buffer.clear" });
      this.dispatch({ type: "note", text: "Hold it for as long as you speak." });
      return;
    }
    this.dispatch({ type: "turn", at: performance.now() });
    this.link.send({ type: "input_audio_buffer.commit" }, { type: "response.create" });
  }

  /** Stop the answer that is being given. */
  interrupt(): void {
    if (this.conversation.responseId !== null || this.now.playing) {
      this.link.send({ type: "output_audio_buffer.clear" });
      this.silence();
    }
  }

  private hear(chunk: Chunk): void {
    this.screen.loudness("microphone", this.now.muted ? 0 : chunk.loudness);
    if (this.now.mode === "hands-free" ? !this.now.muted : this.now.holding) return this.sendAudio(chunk);
    this.before.push(chunk);
    if (this.before.length > BEFORE_THE_KEY) this.before.shift();
  }

  private sendAudio(chunk: Chunk): void {
    this.link.send({ type: "input_audio_buffer.append", audio: encodePcm16(chunk.samples) });
  }

  // --- the answer's sound ------------------------------------------------------------------------------------

  private async openSpeaker(): Promise<void> {
    try {
      await this.speaker.open(this.preferences.speaker);
    } catch {
      await this.chooseSpeaker(""); // the one that was chosen is not there any more
    }
  }

  /** After a reload there may be something to hear, but no page may sound before the user has touched it. */
  private askForSound(): void {
    const run = () => void this.openSpeaker().then(() => this.screen.banner(null));
    this.screen.banner("The answer goes on. Browsers keep a page silent until you touch it.", { name: "Sound on", run });
  }

  async chooseSpeaker(deviceId: string): Promise<void> {
    this.prefer({ speaker: deviceId });
    await this.speaker.choose(deviceId);
  }

  private silence(): void {
    this.speaker.stop();
    this.change({ playing: false });
  }

  private played(heard: Heard, loudness: number): void {
    this.screen.loudness("speaker", loudness);
    const now = performance.now();
    if (now - this.reportedAt < REPORT_EVERY_MS) return;
    this.reportedAt = now;
    this.link.send({ type: "output_audio_buffer.played", item_id: heard.item, played_ms: heard.ms });
  }

  private truncate(heard: Heard[]): void {
    if (this.conversation.sessionId === null) return; // whoever said that is gone
    for (const { item, ms } of heard) {
      this.link.send({ type: "conversation.item.truncate", item_id: item, content_index: 0, audio_end_ms: ms });
    }
  }

  // --- the camera --------------------------------------------------------------------------------------------

  async toggleCamera(): Promise<void> {
    if (this.camera.isOpen) {
      this.camera.close();
      return this.screen.changed();
    }
    const insecure = insecureOrigin(window.isSecureContext, location.origin);
    if (insecure !== null) return this.screen.banner(insecure);
    this.connect();
    try {
      await this.camera.open(this.preferences.camera);
    } catch (error) {
      this.screen.banner(deviceProblem("camera", error), { name: "Try again", run: () => void this.toggleCamera() });
    }
    this.screen.changed();
  }

  private see(shot: Shot): void {
    const event = { type: "input_image_buffer.append", image: shot.image, mime_type: "image/jpeg", timestamp_ms: shot.at } as const;
    if (this.link.sendIfIdle(event)) this.dispatch({ type: "frame", at: shot.at, thumbnail: shot.thumbnail });
  }

  // --- what is kept ------------------------------------------------------------------------------------------

  prefer(changes: Partial<Preferences>): void {
    Object.assign(this.preferences, changes);
    keep(localStorage, this.preferences);
    this.screen.changed();
  }

  private lostDevice(device: Device): void {
    if (device === "microphone") this.change({ microphone: false });
    this.screen.banner(`The ${device} is gone. Plug it in again or choose another one in the settings.`);
    this.screen.changed();
  }

  private dispatch(action: Action): void {
    const next = reduce(this.conversation, action);
    if (next === this.conversation) return;
    this.conversation = next;
    window.clearTimeout(this.saving);
    this.saving = window.setTimeout(() => this.save(), 500);
    this.screen.changed();
  }

  private change(changes: Partial<Circumstances>): void {
    Object.assign(this.now, changes);
    this.screen.changed();
  }

  private save(): void {
    keep(sessionStorage, { conversation: this.conversation, key: this.link.key });
  }
}

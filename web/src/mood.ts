/** What is going on, in one word for the eye and one for the ear. */

import type { Conversation } from "./conversation";

export interface Circumstances {
  connection: "closed" | "waiting" | "open";
  microphone: boolean;
  muted: boolean;
  mode: Mode;
  /** The key to talk is held down. */
  holding: boolean;
  /** An answer can be heard. */
  playing: boolean;
}

export type Mode = "hands-free" | "push-to-talk";
export type Mood = "idle" | "waiting" | "listening" | "muted" | "ready" | "hearing" | "thinking" | "speaking";

export function moodOf(state: Conversation, now: Circumstances): Mood {
  if (now.connection !== "open") return now.connection === "waiting" ? "waiting" : "idle";
  if (now.holding || state.entries.some((entry) => entry.kind === "user" && entry.phase === "speaking")) return "hearing";
  if (now.playing) return "speaking";
  if (state.responseId !== null || state.timing !== null) return "thinking";
  if (!now.microphone) return "ready";
  if (now.mode === "push-to-talk") return "ready";
  return now.muted ? "muted" : "listening";
}

export const MOODS: Record<Mood, string> = {
  idle: "Not connected",
  waiting: "Reconnecting",
  listening: "Listening",
  muted: "Muted",
  ready: "Ready",
  hearing: "Hearing you",
  thinking: "Thinking",
  speaking: "Speaking",
};

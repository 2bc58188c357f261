/** What outlives a reload (the conversation, the key) and what outlives the tab (devices, looks). */

import { EMPTY, type Conversation } from "./conversation";
import type { Mode } from "./mood";

export interface Kept {
  conversation: Conversation;
  key: string | null;
}

export interface Preferences {
  microphone: string;
  speaker: string;
  camera: string;
  theme: "system" | "light" | "dark";
  mode: Mode;
  singleKeys: boolean;
}

const DEFAULTS: Preferences = {
  microphone: "",
  speaker: "",
  camera: "",
  theme: "system",
  mode: "hands-free",
  singleKeys: true,
};

const NAME = "hearsight";

export function readKept(storage: Storage): Kept {
  const kept = read(storage) as Partial<Kept>;
  // What was being timed began on the clock of a page that is gone.
  return { conversation: { ...EMPTY, ...kept.conversation, timing: null }, key: kept.key ?? null };
}

export function readPreferences(storage: Storage): Preferences {
  return { ...DEFAULTS, ...read(storage) };
}

/** Keep something; where there is no room, without the pictures. */
export function keep(storage: Storage, value: Kept | Preferences): void {
  try {
    storage.setItem(NAME, JSON.stringify(value));
  } catch {
    if (!("conversation" in value) || value.conversation.frames.length === 0) return;
    keep(storage, { ...value, conversation: { ...value.conversation, frames: [] } });
  }
}

function read(storage: Storage): object {
  try {
    const value: unknown = JSON.parse(storage.getItem(NAME) ?? "{}");
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

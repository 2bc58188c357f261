import { describe, expect, it } from "vitest";
import { EMPTY, type Conversation } from "../src/conversation";
import { latencyOf, seconds } from "../src/latency";
import { moodOf, type Circumstances } from "../src/mood";
import { readEvent, turnsEndedBy, typed } from "../src/protocol";
import { keep, readKept, readPreferences } from "../src/store";
import { deviceProblem, insecureOrigin } from "../src/words";

function failure(name: string): Error {
  return Object.assign(new Error("…"), { name });
}

describe("what is wrong with a device", () => {
  it.each([
    ["NotAllowedError", "does not let"],
    ["NotFoundError", "No microphone was found"],
    ["OverconstrainedError", "No microphone was found"],
    ["NotReadableError", "another program"],
    ["TypeError", "TypeError"],
  ])("is told in words: %s", (name, words) => {
    const text = deviceProblem("microphone", failure(name));
    expect(text).toContain(words);
    expect(text).toContain("you can type");
    expect(deviceProblem("camera", failure(name))).toContain("goes on without it");
  });

  it("may be the page's address", () => {
    expect(insecureOrigin(true, "https://x")).toBeNull();
    expect(insecureOrigin(false, "http://10.0.0.5:8765")).toContain("http://10.0.0.5:8765");
  });
});

describe("the mood", () => {
  const open: Circumstances = { connection: "open", microphone: true, muted: false, mode: "hands-free", holding: false, playing: false };
  const heard: Conversation = { ...EMPTY, timing: { endedAt: 0, silenceMs: 0, wordsAt: null, textAt: null, audioAt: null, soundAt: null } };
  const speaking: Conversation = { ...EMPTY, entries: [{ kind: "user", id: "u", text: "", phase: "speaking", typed: false, seen: [] }] };

  it.each([
    ["idle", EMPTY, { connection: "closed" }],
    ["waiting", speaking, { connection: "waiting" }],
    ["listening", EMPTY, {}],
    ["muted", EMPTY, { muted: true }],
    ["ready", EMPTY, { microphone: false }],
    ["ready", EMPTY, { mode: "push-to-talk" }],
    ["hearing", EMPTY, { mode: "push-to-talk", holding: true }],
    ["hearing", speaking, { playing: true }],
    ["thinking", heard, {}],
    ["thinking", { ...EMPTY, responseId: "r" }, {}],
    ["speaking", { ...EMPTY, responseId: "r" }, { playing: true }],
  ] as const)("is %s", (mood, state, more) => {
    expect(moodOf(state, { ...open, ...more })).toBe(mood);
  });
});

describe("latency", () => {
  const timing = { endedAt: 1000, silenceMs: 300, wordsAt: 1020, textAt: 1100, audioAt: 1160, soundAt: 1180 };

  it("adds up", () => {
    expect(latencyOf(timing)).toEqual({
      totalMs: 480,
      stages: [
        { name: "pause", ms: 300 },
        { name: "thinking", ms: 100 },
        { name: "voice", ms: 60 },
        { name: "playback", ms: 20 },
      ],
    });
  });

  it("is not known before there is sound", () => {
    expect(latencyOf(null)).toBeNull();
    expect(latencyOf({ ...timing, soundAt: null })).toBeNull();
    expect(latencyOf({ ...timing, audioAt: null })).toBeNull();
  });

  it("counts no stage twice or below nothing when thinking was done before the turn was over", () => {
    const early = latencyOf({ ...timing, silenceMs: null, textAt: null, audioAt: 1000, soundAt: 1010 });
    expect(early?.stages.map((stage) => stage.ms)).toEqual([0, 0, 0, 10]);
    expect(early?.totalMs).toBe(10);
  });

  it("is read as seconds", () => {
    expect([0, 84, 1234, 12_345].map(seconds)).toEqual(["0.00 s", "0.08 s", "1.23 s", "12.3 s"]);
  });
});

describe("messages", () => {
  it("that are none are passed over", () => {
    expect(readEvent('{"type":"error","error":{}}')).toMatchObject({ type: "error" });
    for (const data of ["", "{", "null", "[]", "3", '{"type":3}', new ArrayBuffer(2)]) expect(readEvent(data)).toBeNull();
  });

  it("say who ends a turn", () => {
    expect(turnsEndedBy("user")).toMatchObject({ session: { audio: { input: { turn_detection: null } } } });
    expect(turnsEndedBy("server")).toMatchObject({ session: { audio: { input: { turn_detection: { type: "semantic_vad" } } } } });
    expect(typed("Hi").map((event) => event.type)).toEqual(["conversation.item.create", "response.create"]);
  });
});

describe("what is kept", () => {
  class Box implements Partial<Storage> {
    private readonly values = new Map<string, string>();
    constructor(private readonly room = Infinity) {}
    getItem(name: string): string | null {
      return this.values.get(name) ?? null;
    }
    setItem(name: string, value: string): void {
      if (value.length > this.room) throw new Error("QuotaExceededError");
      this.values.set(name, value);
    }
  }
  const box = (room?: number) => new Box(room) as unknown as Storage;
  const conversation: Conversation = { ...EMPTY, sessionId: "s", frames: [{ at: 1, thumbnail: "x".repeat(5000), seen: true }] };

  it("comes back", () => {
    const storage = box();
    keep(storage, { conversation, key: "k" });
    expect(readKept(storage)).toEqual({ conversation, key: "k" });
  });

  it("leaves the clock of the page that is gone behind", () => {
    const storage = box();
    const timing = { endedAt: 9, silenceMs: 0, wordsAt: null, textAt: null, audioAt: null, soundAt: null };
    keep(storage, { conversation: { ...conversation, timing }, key: null });
    expect(readKept(storage).conversation.timing).toBeNull();
  });

  it("goes without pictures where there is little room, and does no harm where there is none", () => {
    const small = box(1000);
    keep(small, { conversation, key: null });
    expect(readKept(small).conversation).toEqual({ ...conversation, frames: [] });
    keep(box(1), { conversation, key: null });
  });

  it("is empty at first, and when it cannot be read", () => {
    expect(readKept(box())).toEqual({ conversation: EMPTY, key: null });
    const broken = box();
    broken.setItem("hearsight", "{");
    expect(readPreferences(broken)).toMatchObject({ mode: "hands-free", theme: "system", singleKeys: true });
  });
});

import { describe, expect, it } from "vitest";
import { EMPTY, MAX_FRAMES, reduce, type Action, type Answer, type Conversation, type ToolCall, type UserTurn } from "../src/conversation";
import type { ServerEvent, Usage } from "../src/protocol";

let number = 0;

function told(event: object, at = 0): Action {
  number += 1;
  return { type: "event", event: { event_id: `event_${number}`, ...event } as ServerEvent, at };
}

const ACTIONS: string[] = ["event", "sound", "turn", "frame", "note", "lost"] satisfies Action["type"][];

/** The state after these actions; whatever else is given is an event of the server's. */
function after(...steps: object[]): Conversation {
  const actions = steps.map((step) => ("type" in step && ACTIONS.includes(String(step.type)) ? (step as Action) : told(step)));
  return actions.reduce(reduce, EMPTY);
}

const SPEECH = [
  { type: "input_audio_buffer.speech_started", item_id: "u1" },
  { type: "input_audio_buffer.speech_stopped", item_id: "u1", silence_ms: 300 },
  { type: "input_audio_buffer.committed", item_id: "u1" },
  { type: "conversation.item.added", item: { id: "u1", type: "message", role: "user", content: [{ type: "input_audio", transcript: null }] } },
];
const HEARD = { type: "conversation.item.input_audio_transcription.completed", item_id: "u1", transcript: " What time is it? " };
const ANSWER = [
  { type: "response.created", response: { id: "r1" } },
  { type: "response.output_item.added", response_id: "r1", item: { id: "a1", type: "message", role: "assistant", content: [] } },
  { type: "response.output_audio_transcript.delta", response_id: "r1", item_id: "a1", delta: "It is ten past one." },
  { type: "response.output_audio_transcript.delta", response_id: "r1", item_id: "a1", delta: " Shall I say more?" },
];

function usage(input: number): Usage {
  return {
    input_tokens: input,
    output_tokens: 9,
    context_limit_tokens: 32_768,
    input_token_details: { text_tokens: input - 50, audio_tokens: 50, image_tokens: 0, cached_tokens: 0 },
  };
}

function done(status = "completed", more: object = {}): object {
  return { type: "response.done", response: { id: "r1", status, status_details: null, usage: usage(800), ...more } };
}

describe("what the user says", () => {
  it("has its place from the first sound on, and its words when they are known", () => {
    const listening = after(SPEECH[0] as object);
    expect(listening.entries).toMatchObject([{ kind: "user", id: "u1", phase: "speaking", text: "" }]);
    const said = after(...SPEECH, ...ANSWER, HEARD);
    expect(said.entries.map((entry) => entry.id)).toEqual(["u1", "a1"]);
    expect(said.entries[0]).toMatchObject({ phase: "done", text: "What time is it?", typed: false });
  });

  it("says so where no words were heard, or none could be written down", () => {
    expect(after(...SPEECH, { ...HEARD, transcript: " " }).entries[0]).toMatchObject({ phase: "unclear" });
    const failed = { type: "conversation.item.input_audio_transcription.failed", item_id: "u1", error: { message: "no" } };
    expect(after(...SPEECH, failed).entries[0]).toMatchObject({ phase: "unclear" });
  });

  it("is shown when the key to talk ends it, of which only the commit tells", () => {
    expect(after(...SPEECH.slice(2)).entries).toMatchObject([{ id: "u1", phase: "heard" }]);
  });

  it("goes away when it is cleared", () => {
    expect(after(SPEECH[0] as object, { type: "input_audio_buffer.cleared" }).entries).toEqual([]);
  });

  it("may be typed", () => {
    const item = { id: "t1", type: "message", role: "user", content: [{ type: "input_text", text: "Hello" }] };
    const added = { type: "conversation.item.added", item };
    expect(after(added, { ...added, type: "conversation.item.done" }).entries).toMatchObject([{ id: "t1", text: "Hello", typed: true }]);
  });
});

describe("an answer", () => {
  it("grows by what is decoded, and is whole at the end", () => {
    const state = after(...SPEECH, ...ANSWER);
    expect(state.responseId).toBe("r1");
    expect(state.entries[1]).toMatchObject({ text: "It is ten past one. Shall I say more?", heard: null, phase: "speaking" });
    const item = { id: "a1", type: "message", role: "assistant", status: "completed" };
    const ended = after(...SPEECH, ...ANSWER, { type: "response.output_item.done", response_id: "r1", item }, done());
    expect(ended.entries[1]).toMatchObject({ phase: "done", heard: null });
    expect(ended.responseId).toBeNull();
  });

  it("keeps what was not heard of it apart", () => {
    const cut = { type: "response.output_audio_transcript.done", response_id: "r1", item_id: "a1", transcript: "It is ten" };
    const answer = after(...ANSWER, cut).entries[0] as Answer;
    expect(answer.text.slice(answer.heard ?? 0)).toBe(" past one. Shall I say more?");
  });

  it("follows the server's last word on what was heard", () => {
    const cut = { type: "response.output_audio_transcript.done", response_id: "r1", item_id: "a1", transcript: "It is ten past one." };
    const truncated = { type: "conversation.item.truncated", item_id: "a1", audio_end_ms: 400 };
    const item = { id: "a1", type: "message", role: "assistant", content: [{ type: "output_audio", transcript: "It is" }] };
    const answer = after(...ANSWER, cut, truncated, { type: "conversation.item.retrieved", item }).entries[0] as Answer;
    expect(answer).toMatchObject({ heard: 5, phase: "interrupted" });
  });

  it("may have been heard not at all", () => {
    const cut = { type: "response.output_audio_transcript.done", response_id: "r1", item_id: "a1", transcript: "" };
    expect(after(...ANSWER, cut).entries[0]).toMatchObject({ heard: 0 });
  });

  it("is taken as the server has it when the page was away for a part of it", () => {
    const whole = "It is ten past one. Shall I say more? There is much to say.";
    const late = { type: "response.output_audio_transcript.done", response_id: "r1", item_id: "a1", transcript: whole };
    expect(after(...ANSWER, late).entries[0]).toMatchObject({ text: whole, heard: null });
  });

  it("that fails says why, once", () => {
    const details = { status_details: { error: { message: "The model failed." } } };
    const state = after(done("failed", details), done("failed", details));
    expect(state.entries).toMatchObject([{ kind: "note", text: "The model failed." }]);
  });
});

describe("a tool", () => {
  const call = { id: "c1", type: "mcp_call", name: "get_time", arguments: '{"place":"Tokyo"}', output: null, error: null };
  const added = { type: "response.output_item.added", response_id: "r1", item: call };
  const ended = (more: object) => after(added, { type: "response.output_item.done", response_id: "r1", item: { ...call, ...more } }).entries[0] as ToolCall;

  it("runs, and then has its result", () => {
    expect(after(added).entries[0]).toMatchObject({ kind: "tool", name: "get_time", phase: "running", result: null });
    expect(ended({ output: "23:18" })).toMatchObject({ phase: "done", result: "23:18", input: '{"place":"Tokyo"}' });
  });

  it("may fail, or be left behind", () => {
    expect(ended({ error: { message: "no such place" } })).toMatchObject({ phase: "failed", result: "no such place" });
    expect(ended({})).toMatchObject({ phase: "stopped", result: null });
  });
});

describe("pictures", () => {
  it("are marked once they have joined a turn", () => {
    const shot = (at: number): Action => ({ type: "frame", at, thumbnail: `data:${at}` });
    const added = { ...(SPEECH[3] as object), seen_ms: [2000] };
    const state = after(shot(1000), shot(2000), added, shot(3000));
    expect(state.frames.map((frame) => frame.seen)).toEqual([false, true, false]);
    expect((state.entries[0] as UserTurn).seen).toEqual([2000]);
  });

  it("that were seen are kept longest, and not for ever", () => {
    let state = after({ type: "frame", at: 0, thumbnail: "" }, { ...(SPEECH[3] as object), seen_ms: [0] });
    for (let at = 1; at <= 3 * MAX_FRAMES; at += 1) state = reduce(state, { type: "frame", at, thumbnail: "" });
    expect(state.frames).toHaveLength(MAX_FRAMES);
    expect(state.frames[0]).toMatchObject({ at: 0, seen: true });
    expect(state.frames.at(-1)).toMatchObject({ at: 3 * MAX_FRAMES });
    for (const frame of [...state.frames]) state = reduce(state, told({ ...SPEECH[3], seen_ms: [frame.at] }));
    for (let at = 1000; at < 1000 + 2 * MAX_FRAMES; at += 1) state = reduce(state, { type: "frame", at, thumbnail: "" });
    expect(state.frames).toHaveLength(MAX_FRAMES);
  });
});

describe("time and room", () => {
  it("is measured from the end of the turn to the first sound", () => {
    const state = after(
      told(SPEECH[0] as object, 0),
      told(SPEECH[1] as object, 1000),
      told(ANSWER[1] as object, 1040),
      told(ANSWER[2] as object, 1050),
      told({ type: "response.output_audio.delta", response_id: "r1", item_id: "a1", delta: "" }, 1090),
      told(ANSWER[3] as object, 1095),
      { type: "sound", itemId: "a1", at: 1110 },
    );
    const timing = { endedAt: 1000, silenceMs: 300, wordsAt: null, textAt: 1050, audioAt: 1090, soundAt: 1110 };
    expect(state.entries[1]).toMatchObject({ timing });
    expect(state.timing).toBeNull();
  });

  it("is not measured for what nobody asked for", () => {
    expect(after(...ANSWER, { type: "sound", itemId: "a1", at: 5 }).entries[0]).toMatchObject({ timing: null });
  });

  it("is measured from the key for a turn that the user ends", () => {
    expect(after({ type: "turn", at: 70 }).timing).toMatchObject({ endedAt: 70, silenceMs: null });
    expect(after({ type: "turn", at: 70 }, done("cancelled")).timing).toBeNull();
  });

  it("tells how full the context is, as of the last answer that knows", () => {
    expect(after(done()).context).toEqual({ text: 750, audio: 50, image: 0, answer: 9, limit: 32_768 });
    expect(after(done(), done("cancelled", { usage: usage(0) })).context).toMatchObject({ text: 750 });
  });
});

describe("a session", () => {
  it("is named, and so is the last event seen of it", () => {
    const state = after({ type: "session.created", event_id: "event_1", session: { id: "sess_1", model: "gemma3n" } });
    expect(state).toMatchObject({ sessionId: "sess_1", lastEventId: "event_1", model: "gemma3n" });
  });

  it("that is lost leaves what was said, and nothing that goes on for ever", () => {
    const call = { id: "c1", type: "mcp_call", name: "look", arguments: "{}" };
    const running = { type: "response.output_item.added", response_id: "r1", item: call };
    const state = after(...SPEECH, ...ANSWER, running, { type: "lost", text: "A new one begins." });
    expect(state).toMatchObject({ sessionId: null, lastEventId: null, responseId: null, timing: null, context: null });
    expect(state.entries).toMatchObject([{ phase: "unclear" }, { phase: "interrupted" }, { phase: "stopped" }, { kind: "note" }]);
  });

  it("is plain data, so that it survives being stored", () => {
    const state = after(...SPEECH, ...ANSWER, HEARD, done());
    expect(JSON.parse(JSON.stringify(state))).toEqual(state);
  });

  it("is not disturbed by events that the page does not know", () => {
    const state = after(...SPEECH);
    expect({ ...reduce(state, told({ type: "rate_limits.updated" })), lastEventId: null }).toEqual({ ...state, lastEventId: null });
  });

  it("shows what the server complains of", () => {
    expect(after({ type: "error", error: { code: "picture_dropped", message: "One too many." } }).entries).toEqual([]);
    expect(after({ type: "error", error: { code: "x", message: "Too loud." } }).entries).toMatchObject([{ kind: "note", text: "Too loud." }]);
  });
});

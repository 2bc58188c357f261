/**
 * The conversation as the page shows it. Events in, a new state out: no clock, no socket, no document.
 *
 * A state is plain data, so that it can be stored and taken up again after a reload.
 */

import type { Item, ServerEvent, Usage } from "./protocol";

export interface UserTurn {
  kind: "user";
  id: string;
  text: string;
  phase: "speaking" | "heard" | "done" | "unclear";
  typed: boolean;
  /** Times of the camera's frames that joined the turn. */
  seen: number[];
}

export interface Answer {
  kind: "answer";
  id: string;
  text: string;
  /** Characters that were heard; null while nothing is known to be missing. */
  heard: number | null;
  phase: "speaking" | "done" | "interrupted";
  timing: Timing | null;
}

export interface ToolCall {
  kind: "tool";
  id: string;
  name: string;
  /** JSON, as the model wrote it. */
  input: string;
  phase: "running" | "done" | "failed" | "stopped";
  result: string | null;
}

export interface Note {
  kind: "note";
  id: string;
  text: string;
}

export type Entry = UserTurn | Answer | ToolCall | Note;

/** How long an answer took; moments are in milliseconds of the page's clock. */
export interface Timing {
  /** When the turn was known to be over. */
  endedAt: number;
  /** For how long the user had been silent by then; null where they ended the turn themselves. */
  silenceMs: number | null;
  wordsAt: number | null;
  textAt: number | null;
  audioAt: number | null;
  soundAt: number | null;
}

export interface Context {
  text: number;
  audio: number;
  image: number;
  answer: number;
  limit: number;
}

export interface Frame {
  at: number;
  /** A small picture, as a data: URL. */
  thumbnail: string;
  seen: boolean;
}

export interface Conversation {
  sessionId: string | null;
  /** What the server calls its latest event; with it the session is resumed. */
  lastEventId: string | null;
  model: string;
  entries: Entry[];
  /** The answer being given. */
  responseId: string | null;
  /** The latest turn's clock, while its answer has not begun to sound. */
  timing: Timing | null;
  context: Context | null;
  frames: Frame[];
}

export type Action =
  | { type: "event"; event: ServerEvent; at: number }
  /** An item of the answer began to sound. */
  | { type: "sound"; itemId: string; at: number }
  /** The user ended a turn: let the key go, or sent text. */
  | { type: "turn"; at: number }
  | { type: "frame"; at: number; thumbnail: string }
  | { type: "note"; text: string }
  /** The server does not know the session any more; what was said stays on the page. */
  | { type: "lost"; text: string };

/** Errors that say nothing new: the banner tells that the server is gone, the marks which pictures were seen. */
const QUIET: ReadonlySet<string> = new Set(["server_draining", "picture_dropped"]);

export const MAX_FRAMES = 24;
export const MAX_ENTRIES = 400;

export const EMPTY: Conversation = {
  sessionId: null,
  lastEventId: null,
  model: "",
  entries: [],
  responseId: null,
  timing: null,
  context: null,
  frames: [],
};

export function reduce(state: Conversation, action: Action): Conversation {
  switch (action.type) {
    case "event":
      return { ...onEvent(state, action.event, action.at), lastEventId: action.event.event_id ?? state.lastEventId };
    case "sound":
      return onSound(state, action.itemId, action.at);
    case "turn":
      return { ...state, timing: startTiming(action.at, null) };
    case "frame":
      return withFrame(state, { at: action.at, thumbnail: action.thumbnail, seen: false });
    case "note":
      return withNote(state, action.text);
    case "lost":
      return { ...withNote(closeOpen(state), action.text), sessionId: null, lastEventId: null, context: null };
  }
}

function onEvent(state: Conversation, event: ServerEvent, at: number): Conversation {
  switch (event.type) {
    case "session.created":
    case "session.updated":
      return { ...state, sessionId: event.session.id, model: event.session.model };
    case "input_audio_buffer.speech_started":
      return put(state, newTurn(event.item_id, "speaking"));
    case "input_audio_buffer.speech_stopped":
      return {
        ...edit(state, event.item_id, "user", (turn) => ({ ...turn, phase: "heard" })),
        timing: startTiming(at, event.silence_ms ?? null),
      };
    case "input_audio_buffer.committed":
      return has(state, event.item_id)
        ? edit(state, event.item_id, "user", (turn) => ({ ...turn, phase: "heard" }))
        : put(state, newTurn(event.item_id, "heard"));
    case "input_audio_buffer.cleared":
      return { ...state, entries: state.entries.filter((entry) => !(entry.kind === "user" && entry.phase === "speaking")) };
    case "conversation.item.added":
      return onItem(state, event.item, event.seen_ms ?? []);
    case "conversation.item.retrieved":
      return onRetrieved(state, event.item);
    case "conversation.item.deleted":
      return { ...state, entries: state.entries.filter((entry) => entry.id !== event.item_id) };
    case "conversation.item.truncated":
      return edit(state, event.item_id, "answer", (answer) => ({ ...answer, phase: "interrupted" }));
    case "conversation.item.input_audio_transcription.completed":
      return onTranscript(state, event.item_id, event.transcript.trim(), at);
    case "conversation.item.input_audio_transcription.failed":
      return edit(state, event.item_id, "user", (turn) => ({ ...turn, phase: "unclear" }));
    case "response.created":
      return { ...state, responseId: event.response.id };
    case "response.done":
      return onResponseDone(state, event.response);
    case "response.output_item.added":
      return onOutput(state, event.item);
    case "response.output_item.done":
      return onOutputDone(state, event.item);
    case "response.output_audio_transcript.delta":
    case "response.output_text.delta":
      return reached(
        edit(state, event.item_id, "answer", (answer) => ({ ...answer, text: answer.text + event.delta })),
        "textAt",
        at,
      );
    case "response.output_audio.delta":
      return reached(state, "audioAt", at);
    case "response.output_audio_transcript.done":
      return edit(state, event.item_id, "answer", (answer) => onlyHeard(answer, event.transcript));
    case "error":
      return QUIET.has(event.error.code) ? state : withNote(state, event.error.message);
    default:
      return state;
  }
}

// --- the user's side -----------------------------------------------------------------------------------------

function newTurn(id: string, phase: UserTurn["phase"]): UserTurn {
  return { kind: "user", id, text: "", phase, typed: false, seen: [] };
}

function onItem(state: Conversation, item: Item, seen: number[]): Conversation {
  if (item.type !== "message" || item.role !== "user") return state;
  const text = (item.content ?? []).map((part) => part.text ?? "").join(" ").trim();
  const known = has(state, item.id)
    ? state
    : put(state, { ...newTurn(item.id, text ? "done" : "heard"), text, typed: text !== "" });
  const shown = edit(known, item.id, "user", (turn) => ({ ...turn, seen }));
  const frames = shown.frames.map((frame) => (seen.includes(frame.at) ? { ...frame, seen: true } : frame));
  return seen.length ? { ...shown, frames } : shown;
}

function onTranscript(state: Conversation, itemId: string, text: string, at: number): Conversation {
  const phase = text ? "done" : "unclear";
  return reached(
    edit(state, itemId, "user", (turn) => ({ ...turn, text, phase })),
    "wordsAt",
    at,
  );
}

function withFrame(state: Conversation, frame: Frame): Conversation {
  const frames = [...state.frames, frame];
  // A frame that was seen stays longer than those that were not: it is shown in its turn.
  while (frames.length > MAX_FRAMES) {
    const unseen = frames.findIndex((old) => !old.seen);
    frames.splice(unseen >= 0 && unseen < frames.length - 1 ? unseen : 0, 1);
  }
  return { ...state, frames };
}

// --- the answer ----------------------------------------------------------------------------------------------

function onOutput(state: Conversation, item: Item): Conversation {
  if (item.type === "message") {
    return put(state, { kind: "answer", id: item.id, text: "", heard: null, phase: "speaking", timing: null });
  }
  const { id, name = "", arguments: input = "" } = item;
  return put(state, { kind: "tool", id, name, input, phase: "running", result: null });
}

function onOutputDone(state: Conversation, item: Item): Conversation {
  const interrupted = item.status === "incomplete";
  const answered = edit(state, item.id, "answer", (answer) => ({
    ...answer,
    phase: interrupted || answer.phase === "interrupted" ? "interrupted" : "done",
  }));
  return edit(answered, item.id, "tool", (call) => ({
    ...call,
    input: item.arguments || call.input,
    result: item.error?.message ?? item.output ?? null,
    phase: item.error ? "failed" : item.type === "mcp_call" && item.output == null ? "stopped" : "done",
  }));
}

function onRetrieved(state: Conversation, item: Item): Conversation {
  const part = item.content?.[0];
  const heard = part?.transcript ?? part?.text;
  if (item.role !== "assistant" || typeof heard !== "string") return state;
  return edit(state, item.id, "answer", (answer) => ({ ...onlyHeard(answer, heard), phase: "interrupted" }));
}

/** Note how much of an answer was heard, given its words. */
function onlyHeard(answer: Answer, words: string): Answer {
  if (words === answer.text) return { ...answer, heard: null };
  let common = 0;
  while (common < words.length && words[common] === answer.text[common]) common += 1;
  // More than what is shown: some of what was said came while the page was away.
  return common === answer.text.length ? { ...answer, text: words, heard: null } : { ...answer, heard: common };
}

function onResponseDone(
  state: Conversation,
  response: Extract<ServerEvent, { type: "response.done" }>["response"],
): Conversation {
  // An answer that has no sound by now will have none, so nothing is timed any more.
  const timing = state.timing?.audioAt == null ? null : state.timing;
  const ended = { ...state, responseId: null, timing, context: contextOf(response.usage) ?? state.context };
  if (response.status === "failed") {
    return withNote(ended, response.status_details?.error?.message ?? "The answer failed.");
  }
  if (response.status === "incomplete") return withNote(ended, "The answer was as long as it may be, and ends here.");
  return ended;
}

function contextOf(usage: Usage | null): Context | null {
  if (!usage?.input_tokens) return null; // an answer that was broken off does not know what it cost
  const { text_tokens: text, audio_tokens: audio, image_tokens: image } = usage.input_token_details;
  return { text, audio, image, answer: usage.output_tokens, limit: usage.context_limit_tokens };
}

// --- how long it took ----------------------------------------------------------------------------------------

function startTiming(at: number, silenceMs: number | null): Timing {
  return { endedAt: at, silenceMs, wordsAt: null, textAt: null, audioAt: null, soundAt: null };
}

function reached(state: Conversation, moment: "wordsAt" | "textAt" | "audioAt", at: number): Conversation {
  if (state.timing === null || state.timing[moment] !== null) return state;
  return { ...state, timing: { ...state.timing, [moment]: at } };
}

function onSound(state: Conversation, itemId: string, at: number): Conversation {
  if (state.timing?.audioAt == null) return state; // no turn of the user's asked for it
  const timing = { ...state.timing, soundAt: at };
  return { ...edit(state, itemId, "answer", (answer) => ({ ...answer, timing })), timing: null };
}

// --- entries -------------------------------------------------------------------------------------------------

function has(state: Conversation, id: string): boolean {
  return state.entries.some((entry) => entry.id === id);
}

function put(state: Conversation, entry: Entry): Conversation {
  return has(state, entry.id) ? state : { ...state, entries: [...state.entries, entry].slice(-MAX_ENTRIES) };
}

function edit<K extends Entry["kind"]>(
  state: Conversation,
  id: string,
  kind: K,
  change: (entry: Extract<Entry, { kind: K }>) => Entry,
): Conversation {
  const index = state.entries.findLastIndex((entry) => entry.id === id && entry.kind === kind);
  if (index < 0) return state;
  return { ...state, entries: state.entries.with(index, change(state.entries[index] as Extract<Entry, { kind: K }>)) };
}

function withNote(state: Conversation, text: string): Conversation {
  const last = state.entries.at(-1);
  if (last?.kind === "note" && last.text === text) return state;
  return put(state, { kind: "note", id: `note_${state.entries.length}_${state.lastEventId ?? ""}`, text });
}

/** End what nobody will end any more. */
function closeOpen(state: Conversation): Conversation {
  const entries = state.entries.map((entry): Entry => {
    if (entry.kind === "tool" && entry.phase === "running") return { ...entry, phase: "stopped" };
    if (entry.kind === "answer" && entry.phase === "speaking") return { ...entry, phase: "interrupted" };
    if (entry.kind === "user" && (entry.phase === "speaking" || entry.phase === "heard")) return { ...entry, phase: "unclear" };
    return entry;
  });
  return { ...state, entries, responseId: null, timing: null };
}

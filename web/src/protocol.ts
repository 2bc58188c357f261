/** What the page reads and writes of the protocol; docs/protocol.md describes all of it. */

export interface Usage {
  input_token_details: {
    text_tokens: number;
    audio_tokens: number;
    image_tokens: number;
    cached_tokens: number;
  };
  input_tokens: number;
  output_tokens: number;
  context_limit_tokens: number;
}

export interface Part {
  type: string;
  text?: string;
  transcript?: string | null;
}

export interface Item {
  id: string;
  type: "message" | "function_call" | "function_call_output" | "mcp_call";
  role?: "user" | "assistant" | "system";
  status?: "in_progress" | "completed" | "incomplete";
  content?: Part[];
  name?: string;
  arguments?: string;
  output?: string | null;
  error?: { message: string } | null;
}

interface Placed {
  response_id: string;
  item_id: string;
}

export type ServerEvent = { event_id: string } & (
  | { type: "session.created" | "session.updated"; session: { id: string; model: string; extensions?: string[] } }
  | { type: "input_audio_buffer.speech_started"; item_id: string }
  | { type: "input_audio_buffer.speech_stopped"; item_id: string; silence_ms?: number }
  | { type: "input_audio_buffer.committed"; item_id: string }
  | { type: "input_audio_buffer.cleared" }
  | { type: "conversation.item.added" | "conversation.item.done"; item: Item; seen_ms?: number[] }
  | { type: "conversation.item.retrieved"; item: Item }
  | { type: "conversation.item.deleted"; item_id: string }
  | { type: "conversation.item.truncated"; item_id: string; audio_end_ms: number }
  | { type: "conversation.item.input_audio_transcription.delta"; item_id: string; delta: string }
  | { type: "conversation.item.input_audio_transcription.completed"; item_id: string; transcript: string }
  | { type: "conversation.item.input_audio_transcription.failed"; item_id: string; error: { message: string } }
  | { type: "response.created"; response: { id: string } }
  | {
      type: "response.done";
      response: {
        id: string;
        status: "completed" | "cancelled" | "incomplete" | "failed";
        status_details: { error?: { message: string }; reason?: string } | null;
        usage: Usage | null;
      };
    }
  | { type: "response.output_item.added" | "response.output_item.done"; response_id: string; item: Item }
  | ({ type: "response.output_audio.delta"; delta: string } & Placed)
  | ({ type: "response.output_audio_transcript.delta" | "response.output_text.delta"; delta: string } & Placed)
  | ({ type: "response.output_audio_transcript.done"; transcript: string } & Placed)
  | ({ type: "response.output_text.done"; text: string } & Placed)
  | { type: "error"; error: { code: string; message: string; event_id?: string | null } }
);

/** Read a message; null for what is no event. Types that the page does not know pass, and nothing reads them. */
export function readEvent(data: unknown): ServerEvent | null {
  if (typeof data !== "string") return null;
  try {
    const event: unknown = JSON.parse(data);
    const named = typeof event === "object" && event !== null && "type" in event && typeof event.type === "string";
    return named ? (event as ServerEvent) : null;
  } catch {
    return null;
  }
}

export type ClientEvent =
  | { type: "session.update"; session: Record<string, unknown> }
  | { type: "input_audio_buffer.append"; audio: string }
  | { type: "input_audio_buffer.commit" | "input_audio_buffer.clear" | "output_audio_buffer.clear" }
  | { type: "input_image_buffer.append"; image: string; mime_type: string; timestamp_ms: number }
  | { type: "output_audio_buffer.played"; item_id: string; played_ms: number }
  | { type: "conversation.item.create"; item: { type: "message"; role: "user"; content: Part[] } }
  | { type: "conversation.item.retrieve"; item_id: string }
  | { type: "conversation.item.truncate"; item_id: string; content_index: 0; audio_end_ms: number }
  | { type: "response.create" };

/** Who ends a turn: the server, which hears when the user has finished, or the user, who lets a key go. */
export function turnsEndedBy(who: "server" | "user"): ClientEvent {
  const turn_detection = who === "server" ? { type: "semantic_vad" } : null;
  return { type: "session.update", session: { type: "realtime", audio: { input: { turn_detection } } } };
}

export function typed(text: string): ClientEvent[] {
  const item = { type: "message" as const, role: "user" as const, content: [{ type: "input_text", text }] };
  return [{ type: "conversation.item.create", item }, { type: "response.create" }];
}

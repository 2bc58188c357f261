/** The conversation's entries as elements. */

import type { Answer, Conversation, Entry, Frame, ToolCall, UserTurn } from "../conversation";
import { latencyOf, seconds } from "../latency";
import { h } from "./dom";

/** Results longer than this are folded. */
const LONG_RESULT = 240;

export class EntryList {
  private readonly shown = new Map<string, { entry: Entry; element: HTMLElement }>();

  constructor(
    private readonly list: HTMLElement,
    private readonly scroller: HTMLElement,
  ) {}

  /** Show what has changed; only that is touched. */
  render(state: Conversation): void {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    const atEnd = scrollHeight - scrollTop - clientHeight < 80;
    const gone = new Set(this.shown.keys());
    for (const entry of state.entries) {
      gone.delete(entry.id);
      const known = this.shown.get(entry.id);
      if (known?.entry === entry) continue;
      const element = render(entry, state.frames);
      if (known) known.element.replaceWith(element);
      else this.list.append(element);
      this.shown.set(entry.id, { entry, element });
    }
    for (const id of gone) {
      this.shown.get(id)?.element.remove();
      this.shown.delete(id);
    }
    if (atEnd) this.scroller.scrollTop = this.scroller.scrollHeight;
  }
}

function render(entry: Entry, frames: Frame[]): HTMLElement {
  switch (entry.kind) {
    case "user":
      return userTurn(entry, frames);
    case "answer":
      return answer(entry);
    case "tool":
      return toolCall(entry);
    case "note":
      return h("li", { class: "entry note" }, h("p", {}, entry.text));
  }
}

function userTurn(turn: UserTurn, frames: Frame[]): HTMLElement {
  const words = turn.text || { speaking: "Listening…", heard: "Writing it down…", unclear: "Not understood.", done: "" }[turn.phase];
  const seen = frames.filter((frame) => turn.seen.includes(frame.at));
  const count = turn.seen.length;
  return h(
    "li",
    { class: "entry user", "data-phase": turn.phase },
    h("p", { class: "who" }, "You"),
    h(
      "div",
      {},
      h("p", { class: turn.text ? "words" : "words pending" }, words),
      count > 0 &&
        h(
          "p",
          { class: "seen" },
          ...seen.map((frame) => h("img", { src: frame.thumbnail, alt: "", height: 44 })),
          h("span", {}, count === 1 ? "It saw a picture" : `It saw ${count} pictures`),
        ),
    ),
  );
}

function answer(entry: Answer): HTMLElement {
  const { text, heard, phase } = entry;
  const cut = heard ?? text.length;
  const rest = text.slice(cut).trim();
  return h(
    "li",
    { class: "entry answer", "data-phase": phase },
    h("p", { class: "who" }, "Hearsight"),
    h(
      "div",
      {},
      h(
        "p",
        { class: "words" },
        text.slice(0, cut).trim() || (phase === "speaking" && !text ? "…" : ""),
        rest !== "" && h("span", { class: "cut", "aria-hidden": "true" }),
        rest !== "" && h("span", { class: "unheard" }, h("span", { class: "hidden" }, " You did not hear: "), rest),
      ),
      latencyStrip(entry),
    ),
  );
}

function latencyStrip(entry: Answer): HTMLElement | null {
  const latency = latencyOf(entry.timing);
  if (latency === null) return null;
  const stages = latency.stages.filter((stage) => stage.ms >= 5);
  const words = stages.map((stage) => `${stage.name} ${seconds(stage.ms)}`).join(" · ");
  const bar = h("span", { class: "strip", "aria-hidden": "true" });
  for (const stage of stages) {
    const part = h("span", { class: `stage ${stage.name}` });
    part.style.flexGrow = String(stage.ms);
    bar.append(part);
  }
  return h(
    "p",
    { class: "latency", title: "From the end of your words to the first sound of the answer" },
    bar,
    h("strong", {}, seconds(latency.totalMs)),
    h("span", { class: "stages" }, words),
  );
}

const PHASES: Record<ToolCall["phase"], string> = {
  running: "running",
  done: "done",
  failed: "failed",
  stopped: "not finished",
};

function toolCall(call: ToolCall): HTMLElement {
  const inputs = Object.entries(parse(call.input));
  return h(
    "li",
    { class: "entry tool", "data-phase": call.phase },
    h("p", { class: "who" }, "Tool"),
    h(
      "div",
      { class: "card" },
      h("p", { class: "call" }, h("code", {}, call.name), h("span", { class: "phase" }, PHASES[call.phase])),
      inputs.length > 0 &&
        h("dl", {}, ...inputs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, shown(value))])),
      result(call),
    ),
  );
}

function result(call: ToolCall): HTMLElement | null {
  if (call.result === null) return null;
  if (call.result.length <= LONG_RESULT) return h("p", { class: "result" }, call.result);
  const [start] = call.result.slice(0, 80).split("\n");
  return h("details", {}, h("summary", {}, `${start}…`), h("p", { class: "result" }, call.result));
}

function parse(json: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The camera's latest pictures, and how full the context is. */

import type { Context, Frame } from "../conversation";
import { at, h } from "./dom";

const SHOWN_FRAMES = 8;
const SHOWN_SEEN = 4;

const KINDS: { of: keyof Omit<Context, "limit">; name: string }[] = [
  { of: "text", name: "text" },
  { of: "audio", name: "speech" },
  { of: "image", name: "pictures" },
  { of: "answer", name: "answer" },
];

let shownFrames: Frame[] | null = null;
let shownContext: Context | null = null;

export function renderFrames(frames: Frame[]): void {
  if (frames === shownFrames) return;
  shownFrames = frames;
  const seen = frames.filter((frame) => frame.seen).slice(-SHOWN_SEEN);
  const waiting = frames.filter((frame) => !frame.seen).slice(seen.length - SHOWN_FRAMES);
  const latest = [...seen, ...waiting].sort((a, b) => a.at - b.at).map((frame) => {
    const alt = frame.seen ? "A picture that joined a turn" : "A picture that joined no turn yet";
    return h("li", { "data-seen": frame.seen }, h("img", { src: frame.thumbnail, alt }), frame.seen && h("span", {}, "seen"));
  });
  at("frames").replaceChildren(...latest);
}

export function renderContext(context: Context | null): void {
  if (context === shownContext) return;
  shownContext = context;
  at("meter").hidden = context === null;
  if (context === null) return;
  const used = context.text + context.audio + context.image + context.answer;
  at("meter-total").textContent = `${used.toLocaleString("en")} of ${context.limit.toLocaleString("en")} tokens`;
  const parts = KINDS.map(({ of }) => {
    const part = h("span", { class: of });
    part.style.width = `${(100 * context[of]) / context.limit}%`;
    return part;
  });
  at("meter-bar").replaceChildren(...parts);
  const kinds = KINDS.map(({ of, name }) =>
    h("div", { class: of }, h("dt", {}, name), h("dd", {}, context[of].toLocaleString("en"))),
  );
  at("meter-kinds").replaceChildren(...kinds);
}

/** The page's keys. They do nothing while something is typed or a dialog is open. */

export interface Keys {
  talk(): void;
  release(): void;
  stop(): void;
  type(): void;
  camera(): void;
  mode(): void;
  theme(): void;
  help(): void;
}

const LETTERS: Record<string, keyof Keys> = { "/": "type", c: "camera", p: "mode", t: "theme", "?": "help" };

export function listenForKeys(singleKeys: () => boolean, keys: Keys): void {
  window.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return keys.stop();
    if (isTyping(event.target) || (!singleKeys() && !isTalk(event.target))) return;
    if (event.key === " " && !usesSpace(event.target)) {
      event.preventDefault();
      if (!event.repeat) keys.talk();
      return;
    }
    const name = LETTERS[event.key.toLowerCase()];
    if (name === undefined || event.repeat || !singleKeys()) return;
    event.preventDefault();
    keys[name]();
  });
  window.addEventListener("keyup", (event) => {
    if (event.key !== " ") return;
    if (isTalk(event.target)) event.preventDefault(); // it has been pressed already: this would press it again
    keys.release();
  });
}

function isTalk(target: EventTarget | null): boolean {
  return target instanceof Element && target.id === "microphone";
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement && target.type === "text";
}

/** Buttons and the like are pressed by the same key; the one to talk is held by it. */
function usesSpace(target: EventTarget | null): boolean {
  return target instanceof Element && !isTalk(target) && target.matches("button, input, select, summary, a");
}

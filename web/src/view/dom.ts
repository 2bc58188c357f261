/** A few lines in place of a framework. */

type Child = Node | string | null | false;

/** Make an element; attributes that are null, false or undefined are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number | boolean | null | undefined> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => child !== null && child !== false));
  return element;
}

/** An element of the page by its id. */
export function at<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`There is no #${id} in the page.`);
  return element as T;
}

const PATHS = {
  microphone: "M12 3a3 3 0 0 1 3 3v6a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3ZM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3",
  muted: "M15 10V6a3 3 0 0 0-5.6-1.5M9 9v3a3 3 0 0 0 4.6 2.5M5.5 11.5a6.5 6.5 0 0 0 10.3 5.3M18.5 11.5c0 .8-.1 1.5-.4 2.2M12 18v3M4 4l16 16",
  camera: "M3.5 8.5a2 2 0 0 1 2-2h7.5a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2H5.500a2 2 0 0 1-2-2ZM15 11l5.500-3v8L15 13",
  stop: "M8 8h8v8H8Z",
  send: "M12 19V5M6 11l6-6 6 6",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  dark: "M19 14.500A7.500 7.500 0 0 1 9.500 5 7.500 7.500 0 1 0 19 14.500Z",
  light: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M5.300 18.700l1.400-1.400M17.300 6.700l1.400-1.400",
};

export type Icon = keyof typeof PATHS;

/** A line drawing; what it means stands in the label of its button. */
export function icon(name: Icon): SVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Give a button its drawing and its name. */
export function label(button: HTMLElement, drawing: Icon, name: string): void {
  if (button.dataset["icon"] !== drawing) {
    button.dataset["icon"] = drawing;
    button.replaceChildren(icon(drawing));
  }
  button.setAttribute("aria-label", name);
  button.title = name;
}

/** The devices to choose from. */

import type { Preferences } from "../store";
import { at, h } from "./dom";

const KINDS = [
  { kind: "audioinput", name: "microphone" },
  { kind: "audiooutput", name: "speaker" },
  { kind: "videoinput", name: "camera" },
] as const;

export async function fillDevices(chosen: Preferences): Promise<void> {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  for (const { kind, name } of KINDS) {
    const options = devices
      .filter((device) => device.kind === kind && device.deviceId !== "" && device.deviceId !== "default")
      .map((device, index) => h("option", { value: device.deviceId }, device.label || `${name} ${index + 1}`));
    const select = at<HTMLSelectElement>(`choose-${name}`);
    select.replaceChildren(h("option", { value: "" }, "As the browser chooses"), ...options);
    select.value = chosen[name];
    if (select.selectedIndex < 0) select.value = "";
  }
  // Where the browser cannot choose a speaker, the system does.
  at("speaker-choice").hidden = !("setSinkId" in AudioContext.prototype);
}

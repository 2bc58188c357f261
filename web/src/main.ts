/** The page's elements: what they show, and what happens when they are used. */

import "./style.css";
import { App } from "./app";
import { MOODS, moodOf, type Mode } from "./mood";
import { isSendableKey } from "./connection";
import { at, label } from "./view/dom";
import { EntryList } from "./view/entries";
import { renderContext, renderFrames } from "./view/side";
import { fillDevices } from "./view/devices";
import { listenForKeys } from "./view/keys";

const banner = at("banner");
const bannerAction = at<HTMLButtonElement>("banner-action");
const words = at<HTMLInputElement>("words");
const talk = at<HTMLButtonElement>("microphone");
const settings = at<HTMLDialogElement>("settings");
const keyDialog = at<HTMLDialogElement>("key-dialog");
const key = at<HTMLInputElement>("key");
const darkness = window.matchMedia("(prefers-color-scheme: dark)");
const entries = new EntryList(at("entries"), at("conversation"));

let due = 0;

const app = new App(
  {
    changed: () => {
      due ||= requestAnimationFrame(render);
    },
    loudness: (of, loudness) => document.body.style.setProperty(`--${of}`, loudness.toFixed(2)),
    banner: (text, action) => {
      banner.hidden = text === null;
      at("banner-text").textContent = text;
      bannerAction.hidden = action === undefined;
      bannerAction.textContent = action?.name ?? "";
      bannerAction.onclick = () => action?.run();
    },
    askKey: (why) => {
      at("key-why").textContent = why;
      key.value = "";
      if (!keyDialog.open) keyDialog.showModal();
    },
    announce: (text) => {
      const line = document.createElement("p");
      line.textContent = text;
      at("announcer").append(line);
      if (at("announcer").childElementCount > 20) at("announcer").firstElementChild?.remove();
    },
  },
  at<HTMLVideoElement>("preview"),
);

function render(): void {
  due = 0;
  const { conversation, now } = app;
  const mood = moodOf(conversation, now);
  document.body.dataset["mood"] = mood;
  document.body.dataset["microphone"] = now.microphone && !now.muted ? "open" : "closed";
  at("mood").textContent = MOODS[mood];
  at("welcome").hidden = conversation.entries.length > 0 || now.microphone;
  renderInvitation();
  at("restart").hidden = conversation.entries.length === 0;
  renderControls(mood);
  renderTheme();
  at("camera-view").hidden = !app.camera.isOpen && !conversation.frames.some((frame) => frame.seen);
  at("preview").hidden = !app.camera.isOpen;
  entries.render(conversation);
  renderFrames(conversation.frames);
  renderContext(conversation.context);
}

function renderInvitation(): void {
  const { conversation, now } = app;
  const invitation = at("invitation");
  invitation.hidden = conversation.entries.length > 0 || !now.microphone;
  invitation.textContent =
    now.mode === "push-to-talk" ? "Hold the button, or the space bar, for as long as you speak." : "Say something.";
}

function renderControls(mood: string): void {
  const { now, camera } = app;
  const pushing = now.mode === "push-to-talk";
  const name = !now.microphone
    ? "Start talking"
    : pushing
      ? "Hold to talk"
      : now.muted
        ? "Unmute the microphone"
        : "Mute the microphone";
  label(talk, now.microphone && now.muted && !pushing ? "muted" : "microphone", name);
  label(at("camera"), "camera", camera.isOpen ? "Switch the camera off" : "Switch the camera on");
  at("camera").setAttribute("aria-pressed", String(camera.isOpen));
  at<HTMLButtonElement>("stop").disabled = mood !== "speaking" && mood !== "thinking";
  for (const choice of document.querySelectorAll<HTMLInputElement>("[name=mode]")) choice.checked = choice.value === now.mode;
}

function renderTheme(): void {
  const { theme } = app.preferences;
  const dark = theme === "dark" || (theme === "system" && darkness.matches);
  document.documentElement.dataset["theme"] = dark ? "dark" : "light";
  label(at("theme"), dark ? "light" : "dark", dark ? "Switch to light" : "Switch to dark");
}

function switchTheme(): void {
  app.prefer({ theme: document.documentElement.dataset["theme"] === "dark" ? "light" : "dark" });
}

function pressTalk(): void {
  if (!app.microphone.isOpen) void app.start();
  else if (app.now.mode === "push-to-talk") void app.hold();
  else app.setMuted(!app.now.muted);
}

function openSettings(): void {
  void fillDevices(app.preferences);
  settings.showModal();
}

// --- what happens when they are used ---------------------------------------------------------------------------

at("start").onclick = () => void app.start();
at("start-typing").onclick = () => {
  app.connect();
  words.focus();
};
at("restart").onclick = () => app.restart();
at("theme").onclick = switchTheme;
at("open-settings").onclick = openSettings;
at("camera").onclick = () => void app.toggleCamera();
at("stop").onclick = () => app.interrupt();

talk.onpointerdown = (event) => {
  if (event.button === 0 && app.microphone.isOpen && app.now.mode === "push-to-talk") void app.hold();
};
for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, () => app.release());
window.addEventListener("blur", () => app.release());
talk.onclick = ({ detail }) => {
  if (!app.microphone.isOpen || app.now.mode === "hands-free") return pressTalk();
  // Pressed by a key or a screen reader, which cannot hold it: once to begin, once to end.
  if (detail === 0) return app.now.holding ? app.release() : pressTalk();
};
talk.oncontextmenu = (event) => event.preventDefault(); // a long touch is a long word, not a menu

at<HTMLFormElement>("typing").onsubmit = (event) => {
  event.preventDefault();
  const text = words.value.trim();
  if (!text) return;
  void app.say(text);
  if (app.now.connection === "open") words.value = "";
};

for (const choice of document.querySelectorAll<HTMLInputElement>("[name=mode]")) {
  choice.onchange = () => app.setMode(choice.value as Mode);
}

at<HTMLFormElement>("key-form").onsubmit = (event) => {
  const given = key.value.trim();
  if (isSendableKey(given)) return app.useKey(given);
  event.preventDefault();
  at("key-why").textContent = "Browsers cannot send this key: it holds characters other than letters, digits and -._~.";
};

for (const device of ["microphone", "camera", "speaker"] as const) {
  at<HTMLSelectElement>(`choose-${device}`).onchange = async ({ target }) => {
    const chosen = (target as HTMLSelectElement).value;
    if (device === "speaker") return app.chooseSpeaker(chosen);
    app.prefer({ [device]: chosen });
    if (device === "microphone" && app.microphone.isOpen) await app.start();
    if (device === "camera" && app.camera.isOpen) {
      app.camera.close();
      await app.toggleCamera();
    }
  };
}

const singleKeys = at<HTMLInputElement>("single-keys");
singleKeys.checked = app.preferences.singleKeys;
singleKeys.onchange = () => app.prefer({ singleKeys: singleKeys.checked });

listenForKeys(() => app.preferences.singleKeys, {
  talk: pressTalk,
  release: () => app.release(),
  stop: () => app.interrupt(),
  type: () => words.focus(),
  camera: () => void app.toggleCamera(),
  mode: () => app.setMode(app.now.mode === "hands-free" ? "push-to-talk" : "hands-free"),
  theme: switchTheme,
  help: openSettings,
});

darkness.addEventListener("change", renderTheme);
label(at("send"), "send", "Send");
label(at("stop"), "stop", "Stop the answer");
label(at("open-settings"), "settings", "Settings and keys");
render();

import { describe, expect, it } from "vitest";
import {
  GONE,
  afterClosing,
  afterRefusal,
  beforeConnecting,
  delayMs,
  isSendableKey,
  socketUrl,
  subprotocols,
  type Readiness,
} from "../src/connection";

const READY: Readiness = { ready: true, reason: null, key_required: false };
const LOCKED: Readiness = { ...READY, key_required: true };

describe("before connecting", () => {
  it("goes ahead when the server is ready", () => {
    expect(beforeConnecting(READY, false, 0)).toEqual({ do: "connect" });
    expect(beforeConnecting(LOCKED, true, 0)).toEqual({ do: "connect" });
  });

  it("tries again when nobody answers", () => {
    expect(beforeConnecting(null, false, 1)).toEqual({ do: "retry", delayMs: 1000, tell: GONE });
  });

  it("says why the server is not ready, in its own words", () => {
    const loading = { ...READY, ready: false, reason: "The service is starting." };
    expect(beforeConnecting(loading, false, 0)).toMatchObject({ do: "retry", tell: "The service is starting. Trying again…" });
  });

  it("asks for a key only where one is needed", () => {
    expect(beforeConnecting(LOCKED, false, 0)).toMatchObject({ do: "ask-key" });
    expect(beforeConnecting({ ...LOCKED, ready: false }, false, 0)).toMatchObject({ do: "ask-key" });
  });

  it("waits longer each time, but never long", () => {
    expect([0, 1, 2, 3, 4, 50].map(delayMs)).toEqual([500, 1000, 2000, 4000, 5000, 5000]);
  });
});

describe("after a handshake that failed", () => {
  it("takes it for a wrong key where there are keys", () => {
    expect(afterRefusal(LOCKED, "10.0.0.5", 0)).toMatchObject({ do: "ask-key", tell: expect.stringContaining("not accept") });
  });

  it("explains why a name is not enough without keys", () => {
    expect(afterRefusal(READY, "kitchen.lan", 0)).toMatchObject({ do: "stop", tell: expect.stringContaining("“kitchen.lan”") });
  });

  it.each(["localhost", "127.0.0.1", "[::1]", "a.localhost"])("tries again at %s", (host) => {
    expect(afterRefusal(READY, host, 0)).toMatchObject({ do: "retry" });
  });
});

describe("after a closing", () => {
  it.each([1001, 1006, 1012, 1013])("comes back to its session after %i", (code) => {
    expect(afterClosing(code, "", null)).toEqual({ do: "retry", delayMs: 500, tell: GONE });
  });

  it("begins anew when the server does not know the session", () => {
    expect(afterClosing(1008, "…", "session_not_found")).toMatchObject({ do: "begin" });
  });

  it("leaves it to the other tab", () => {
    const step = afterClosing(1008, "Another connection has taken over this session.", null);
    expect(step).toEqual({ do: "stop", tell: "This conversation goes on in another tab." });
  });

  it("gives the server's reason", () => {
    expect(afterClosing(1008, "Nothing was sent for 600 s.", null)).toEqual({ do: "stop", tell: "Nothing was sent for 600 s." });
    expect(afterClosing(1011, "The server has failed.", "server_error")).toMatchObject({
      do: "begin",
      tell: "The server has failed. A new conversation begins here.",
    });
    expect(afterClosing(1000, "", null)).toMatchObject({ do: "stop" });
  });
});

describe("the address", () => {
  it("is the page's own", () => {
    expect(socketUrl(new URL("http://127.0.0.1:8765/"), null, null)).toBe("ws://127.0.0.1:8765/v1/realtime?model=hearsight");
    expect(socketUrl(new URL("https://hear.example/"), null, null)).toMatch(/^wss:/);
  });

  it("is below the path where an application has mounted the page", () => {
    for (const page of ["http://localhost:1/assistant/", "http://localhost:1/assistant/index.html"]) {
      expect(socketUrl(new URL(page), "s", null)).toBe("ws://localhost:1/assistant/v1/realtime?session_id=s");
    }
  });

  it("names the session to go on with, and what was seen of it", () => {
    const url = new URL(socketUrl(new URL("http://localhost:1/"), "sess_1", "event_7"));
    expect(Object.fromEntries(url.searchParams)).toEqual({ session_id: "sess_1", last_event_id: "event_7" });
    expect(socketUrl(new URL("http://localhost:1/"), "sess_1", null)).not.toContain("last_event_id");
  });

  it("carries the key where browsers can put one", () => {
    expect(subprotocols(null)).toEqual(["realtime"]);
    expect(subprotocols("abc")).toEqual(["realtime", "openai-insecure-api-key.abc"]);
    expect(["sk-12_3.x~", "a+b"].every(isSendableKey)).toBe(true);
    expect(["", "two words", "a/b", "ä", 'q"'].some(isSendableKey)).toBe(false);
  });
});

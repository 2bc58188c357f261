/** What to do about a connection: when to try again, with which session, and what to tell the user. No socket. */

export interface Readiness {
  ready: boolean;
  reason: string | null;
  key_required: boolean;
}

export type Step =
  /** Connect, and go on with the session if there is one. */
  | { do: "connect" }
  | { do: "retry"; delayMs: number; tell: string }
  /** The session is over: begin another one. */
  | { do: "begin"; tell: string }
  | { do: "ask-key"; tell: string }
  /** Only the user can go on. */
  | { do: "stop"; tell: string };

export const GONE = "The server is gone; reconnecting…";
const SHORTEST_MS = 500;
const LONGEST_MS = 5_000;

export function delayMs(attempt: number): number {
  return Math.min(LONGEST_MS, SHORTEST_MS * 2 ** attempt);
}

/**
 * Before a connection: what the server says of itself.
 *
 * @param readiness - What `/readyz` answered; null when nobody answered.
 * @param hasKey - Whether the user has given an API key.
 * @param attempt - How often it was tried before.
 */
export function beforeConnecting(readiness: Readiness | null, hasKey: boolean, attempt: number): Step {
  if (readiness === null) return { do: "retry", delayMs: delayMs(attempt), tell: GONE };
  if (readiness.key_required && !hasKey) return { do: "ask-key", tell: "This server asks for an API key." };
  if (!readiness.ready) {
    return { do: "retry", delayMs: delayMs(attempt), tell: `${readiness.reason ?? "The server is not ready."} Trying again…` };
  }
  return { do: "connect" };
}

/**
 * A handshake failed. Browsers do not tell pages why, so it is concluded from what else is known.
 *
 * @param readiness - What `/readyz` answered just before.
 * @param host - The page's host name.
 * @param attempt - How often it was tried before.
 */
export function afterRefusal(readiness: Readiness, host: string, attempt: number): Step {
  if (readiness.key_required) return { do: "ask-key", tell: "The server does not accept this API key." };
  if (!isAddress(host)) {
    const tell =
      `This server has no API keys, so it takes pages by its IP address or as localhost only, not as “${host}”. ` +
      "Open it by its address, or list this page's origin in server.allowed_origins.";
    return { do: "stop", tell };
  }
  return { do: "retry", delayMs: delayMs(attempt), tell: GONE };
}

/**
 * A connection that stood is closed.
 *
 * @param code - Its close code.
 * @param reason - The server's words.
 * @param errorCode - Of the last error that the server told; it precedes the closing.
 */
export function afterClosing(code: number, reason: string, errorCode: string | null): Step {
  if (errorCode === "session_not_found") {
    return { do: "begin", tell: "The server no longer knows this conversation. A new one begins here." };
  }
  if (code === 1008) {
    const tell = reason.includes("taken over") ? "This conversation goes on in another tab." : reason;
    return { do: "stop", tell: tell || "The server has ended the conversation." };
  }
  if (code === 1000) return { do: "stop", tell: reason || "The conversation is over." };
  if (code === 1009 || code === 1011) {
    return { do: "begin", tell: `${reason || "The server has failed."} A new conversation begins here.` };
  }
  return { do: "retry", delayMs: delayMs(0), tell: GONE };
}

/** Where the socket is: beside the page, for an application may have mounted both below a path. */
export function socketUrl(page: URL, sessionId: string | null, lastEventId: string | null): string {
  const url = new URL("v1/realtime", page);
  url.protocol = page.protocol === "https:" ? "wss:" : "ws:";
  if (sessionId === null) url.searchParams.set("model", "hearsight");
  else {
    url.searchParams.set("session_id", sessionId);
    if (lastEventId !== null) url.searchParams.set("last_event_id", lastEventId);
  }
  return url.href;
}

/** Browsers cannot send headers with a socket, so the key travels among the subprotocols. */
export function subprotocols(key: string | null): string[] {
  return key === null ? ["realtime"] : ["realtime", `openai-insecure-api-key.${key}`];
}

/** Whether a key can travel there: RFC 9110 knows which characters a token has. */
export function isSendableKey(key: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(key);
}

function isAddress(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || /^[\d.]+$/.test(host) || host.startsWith("[");
}

/** The connection to the server: opened, resumed, opened again. `connection.ts` decides, this does. */

import {
  afterClosing,
  afterRefusal,
  beforeConnecting,
  socketUrl,
  subprotocols,
  type Readiness,
  type Step,
} from "./connection";
import { readEvent, type ClientEvent, type ServerEvent } from "./protocol";

/** Pictures that a slow line has not carried yet must not hold up the voice. */
const MAX_UNSENT_BYTES = 1_000_000;

export interface LinkEvents {
  event(event: ServerEvent): void;
  opened(): void;
  /** Not connected, and why; the link tries again by itself. */
  waiting(why: string): void;
  askKey(why: string): void;
  stopped(why: string): void;
  /** The session is gone; another one is being opened. */
  lost(why: string): void;
}

export class Link {
  key: string | null = null;
  private socket: WebSocket | null = null;
  /** The server is being asked whether it is ready. */
  private asking = false;
  private attempt = 0;
  private timer = 0;

  constructor(
    private readonly events: LinkEvents,
    /** The session to go on with, and the last event seen of it. */
    private readonly session: () => { sessionId: string | null; lastEventId: string | null },
  ) {
    window.addEventListener("online", () => this.socket === null && this.timer && this.connect());
  }

  get isOpen(): boolean {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  connect(): void {
    window.clearTimeout(this.timer);
    this.timer = 0;
    if (this.socket === null && !this.asking) void this.tryToConnect();
  }

  send(...events: ClientEvent[]): boolean {
    if (!this.isOpen) return false;
    for (const event of events) this.socket?.send(JSON.stringify(event));
    return true;
  }

  /** Send something that may be left out when the line is slow. */
  sendIfIdle(event: ClientEvent): boolean {
    return (this.socket?.bufferedAmount ?? 0) < MAX_UNSENT_BYTES && this.send(event);
  }

  /** End the session for good. */
  end(): void {
    window.clearTimeout(this.timer);
    this.timer = 0;
    const socket = this.socket;
    this.socket = null;
    socket?.close(1000, "The user has left.");
  }

  private async tryToConnect(): Promise<void> {
    this.asking = true;
    const readiness = await askReadiness();
    this.asking = false;
    const { sessionId, lastEventId } = this.session();
    // A server whose sessions are all in use still takes back those that are its own.
    const known = readiness !== null && sessionId !== null ? { ...readiness, ready: true } : readiness;
    const step = beforeConnecting(known, this.key !== null, this.attempt);
    if (step.do !== "connect" || readiness === null) return this.follow(step);
    const socket = new WebSocket(socketUrl(new URL(location.href), sessionId, lastEventId), subprotocols(this.key));
    let opened = false;
    let errorCode: string | null = null;
    socket.onopen = () => {
      opened = true;
      this.attempt = 0;
      this.events.opened();
    };
    socket.onmessage = ({ data }) => {
      const event = readEvent(data);
      if (event === null || this.socket !== socket) return;
      errorCode = event.type === "error" ? event.error.code : null;
      if (errorCode !== "session_not_found") this.events.event(event);
    };
    socket.onclose = ({ code, reason }) => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.follow(opened ? afterClosing(code, reason, errorCode) : afterRefusal(readiness, location.hostname, this.attempt));
    };
    this.socket = socket;
  }

  private follow(step: Step): void {
    switch (step.do) {
      case "connect":
        return this.connect();
      case "retry":
        this.attempt += 1;
        this.events.waiting(step.tell);
        this.timer = window.setTimeout(() => this.connect(), step.delayMs);
        return;
      case "begin":
        this.events.lost(step.tell);
        return this.connect();
      case "ask-key":
        this.key = null;
        return this.events.askKey(step.tell);
      case "stop":
        return this.events.stopped(step.tell);
    }
  }
}

async function askReadiness(): Promise<Readiness | null> {
  try {
    const response = await fetch("readyz", { cache: "no-store", signal: AbortSignal.timeout(5_000) });
    return (await response.json()) as Readiness;
  } catch {
    return null;
  }
}

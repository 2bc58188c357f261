/** How long an answer took, in parts that add up to what the user waited. */

import type { Timing } from "./conversation";

export interface Stage {
  name: "pause" | "thinking" | "voice" | "playback";
  ms: number;
}

export interface Latency {
  /** From the end of the user's speech, as far as the server tells it, to the first sound of the answer. */
  totalMs: number;
  stages: Stage[];
}

/** The stages of a turn whose answer has begun to sound; null before. */
export function latencyOf(timing: Timing | null): Latency | null {
  if (timing === null || timing.audioAt === null || timing.soundAt === null) return null;
  const textAt = Math.min(timing.textAt ?? timing.audioAt, timing.audioAt);
  const stages: Stage[] = [
    { name: "pause", ms: timing.silenceMs ?? 0 },
    { name: "thinking", ms: Math.max(0, textAt - timing.endedAt) },
    { name: "voice", ms: Math.max(0, timing.audioAt - Math.max(textAt, timing.endedAt)) },
    { name: "playback", ms: Math.max(0, timing.soundAt - timing.audioAt) },
  ];
  return { totalMs: stages.reduce((sum, stage) => sum + stage.ms, 0), stages };
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 9_995 ? 2 : 1)} s`;
}

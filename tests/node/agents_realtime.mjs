// A conversation through @openai/agents-realtime: a function call, an answer, an interruption.
// Arguments: the service's Realtime URL, a recording (24 kHz, 16 bits, mono). Prints what happened as JSON.

import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';
import { pause, playedInMs, speak, Waiting } from './microphone.mjs';

const [url, recording] = process.argv.slice(2);
const RATE_HZ = 24_000;
const waiting = new Waiting();
const events = [];
const errors = [];
const asked = [];
let audioBytes = 0;
let interruptions = 0;
let history = [];

const findParcel = tool({
  name: 'find_parcel',
  description: 'Where a parcel is.',
  parameters: z.object({ number: z.number() }),
  execute: async ({ number }) => {
    asked.push(number);
    return 'It is in Lyon.';
  },
});
const agent = new RealtimeAgent({ name: 'Assistant', instructions: 'Be brief.', tools: [findParcel] });
const session = new RealtimeSession(agent, {
  model: 'hearsight',
  transport: new OpenAIRealtimeWebSocket({ url }),
});
session.on('transport_event', (event) => {
  events.push(event);
  waiting.changed();
});
session.on('audio', (event) => (audioBytes += event.data.byteLength));
session.on('audio_interrupted', () => {
  interruptions += 1;
  waiting.changed();
});
session.on('history_updated', (items) => {
  history = items;
  waiting.changed();
});
session.on('error', ({ error }) => errors.push(error));

const until = (type, times = 1) =>
  waiting.until(type, () => events.filter((event) => event.type === type).length >= times);
const say = (options) =>
  speak(
    recording,
    RATE_HZ,
    (piece) => session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.length)),
    options,
  );

await session.connect({ apiKey: process.env.API_KEY ?? 'unused', url });
await say();
await until('response.done', 2); // the call, and what is said of its result
await pause(playedInMs(audioBytes)); // whoever speaks before the end of an answer interrupts it
const before = events.filter((event) => event.type === 'response.output_audio.delta').length;
await say();
await until('response.output_audio.delta', before + 2);
await say({ pace: 1 });
await waiting.until('interruption', () => interruptions > 0);
await until('conversation.item.truncated');
await until('response.done', 4);
session.close();

const transcripts = (role) =>
  history
    .filter((item) => item.type === 'message' && item.role === role)
    .map((item) => item.content.map((part) => part.transcript ?? part.text ?? '').join(''));
console.log(
  JSON.stringify({
    asked,
    audioBytes,
    interruptions,
    user: transcripts('user'),
    assistant: transcripts('assistant'),
    errors,
  }),
);

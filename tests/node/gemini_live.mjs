// A conversation through @google/genai: a function call, an answer, an interruption, a camera frame, resumption.
// Arguments: the service's URL, a recording (16 kHz, 16 bits, mono), a JPEG. Prints what happened as JSON.

import { readFileSync } from 'node:fs';
import { GoogleGenAI, Modality, Type } from '@google/genai';
import { pause, playedInMs, speak, Waiting } from './microphone.mjs';

const [baseUrl, recording, picture] = process.argv.slice(2);
const RATE_HZ = 16_000;
const ai = new GoogleGenAI({ apiKey: process.env.API_KEY ?? 'unused', httpOptions: { baseUrl } });
const messages = [];
const waiting = new Waiting();
let closed;

const config = {
  responseModalities: [Modality.AUDIO],
  inputAudioTranscription: {},
  outputAudioTranscription: {},
  sessionResumption: {},
  tools: [
    {
      functionDeclarations: [
        {
          name: 'find_parcel',
          description: 'Where a parcel is.',
          parameters: {
            type: Type.OBJECT,
            properties: { number: { type: Type.INTEGER } },
            required: ['number'],
          },
        },
      ],
    },
  ],
};

const connect = () =>
  ai.live.connect({
    model: 'hearsight',
    config,
    callbacks: {
      onmessage: (message) => {
        messages.push(message);
        waiting.changed();
      },
      onclose: (event) => {
        closed = { code: event.code, reason: event.reason };
        waiting.changed();
      },
    },
  });

const count = (wanted) => messages.filter(wanted).length;
const content = (name) => (message) => message.serverContent?.[name];
const until = (what, wanted, times = 1) => waiting.until(what, () => count(wanted) >= times);
const say = (session, options) =>
  speak(
    recording,
    RATE_HZ,
    (piece) =>
      session.sendRealtimeInput({
        audio: { data: piece.toString('base64'), mimeType: `audio/pcm;rate=${RATE_HZ}` },
      }),
    options,
  );

const session = await connect();
const image = { data: readFileSync(picture).toString('base64'), mimeType: 'image/jpeg' };
session.sendRealtimeInput({ video: image });
await say(session);
await until('tool call', (message) => message.toolCall);
const [call] = messages.find((message) => message.toolCall).toolCall.functionCalls;
session.sendToolResponse({
  functionResponses: [{ id: call.id, name: call.name, response: { city: 'Lyon' } }],
});
await until('first answer', content('turnComplete'));
const firstWords = messages.map((message) => message.serverContent?.outputTranscription?.text ?? '').join('');
const spoken = count((message) => message.data);
const bytes = messages.reduce((sum, message) => sum + Buffer.from(message.data ?? '', 'base64').length, 0);
await pause(playedInMs(bytes)); // whoever speaks before the end of an answer interrupts it

await say(session);
await until('story', (message) => message.data, spoken + 3);
await say(session, { pace: 1 });
await until('interruption', content('interrupted'));
await until('last answer', content('turnComplete'), 3);

session.sendRealtimeInput({ audio: { data: 'AAAA', mimeType: 'audio/mp3' } });
await until('error', (message) => message.error);
const error = messages.find((message) => message.error).error;

const handle = messages.findLast((message) => message.sessionResumptionUpdate).sessionResumptionUpdate.newHandle;
const sessionId = messages[0].setupComplete.sessionId;
session.close();
await waiting.until('close', () => closed);
messages.length = 0;
config.sessionResumption = { handle };
const again = await connect();
again.sendClientContent({ turns: 'Who am I?' });
await until('answer after resumption', content('turnComplete'));
const resumedId = messages[0].setupComplete.sessionId;
again.close();

console.log(
  JSON.stringify({
    call,
    firstWords,
    error,
    resumed: sessionId === resumedId,
    lastWords: messages.map((message) => message.serverContent?.outputTranscription?.text ?? '').join(''),
  }),
);

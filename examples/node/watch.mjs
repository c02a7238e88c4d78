#!/usr/bin/env node
// watch.mjs - what happens to transactions, as it happens: the server-sent events of GET /v1/stream.
//
//     watch.mjs [COUNT]
//
// Prints a line for each transaction that has an outcome, COUNT of them or until it is interrupted. When the connection is lost it goes
// on behind the last event. ASSENT_API is the coordinator (http://127.0.0.1:7400). Node 18 or later, no packages. (In a browser
// EventSource does what is done here by hand.)
import { setTimeout as sleep } from 'node:timers/promises';

const API = process.env.ASSENT_API ?? 'http://127.0.0.1:7400';
const OUTCOMES = new Set(['committed', 'aborted', 'dead', 'heuristic']);

/** One connection's events: { event, id, data }. A block without data only says how far the stream is. */
async function* events(lastId) {
    const response = await fetch(`${API}/v1/stream`, {
        headers: { Accept: 'text/event-stream', ...(lastId && { 'Last-Event-ID': lastId }) } });
    if (!response.ok) {
        throw new Error(`${response.status}: ${(await response.json()).detail}`);
    }
    let text = '';
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        const blocks = (text + chunk).split('\n\n');
        text = blocks.pop();
        for (const block of blocks) {
            const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s)));
            yield { event: fields.event, id: fields.id, data: fields.data && JSON.parse(fields.data) };
        }
    }
}

let left = Number(process.argv[2] ?? Infinity);
let lastId;
for (;;) {
    try {
        for await (const { event, id, data } of events(lastId)) {
            lastId = id ?? lastId;
            if (event === 'reset') { // what happened meanwhile is not told: GET /v1/transactions has it
                console.error(`something may be missing here: ${data.reason}`);
            } else if (OUTCOMES.has(event)) {
                console.log(`${data.key ?? data.id}: ${data.reason ?? data.state}`);
                left -= 1;
            }
            if (left <= 0) {
                process.exit();
            }
        }
    } catch (error) {
        console.error(`again: ${error.cause?.code ?? error.message}`);
    }
    await sleep(1000);
}

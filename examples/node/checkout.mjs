#!/usr/bin/env node
// checkout.mjs - an order and its payment, in two databases, once or not at all.
//
//     checkout.mjs ORDER CUSTOMER AMOUNT
//
// Prints one line and exits with 0 paid, 1 declined, 2 not known, 64 the request is wrong, 69 not available.
// ASSENT_API is the coordinator (http://127.0.0.1:7400), ASSENT_DEADLINE for how many seconds to try (30).
// Node 18 or later, no packages.
import { setTimeout as sleep } from 'node:timers/promises';

const API = process.env.ASSENT_API ?? 'http://127.0.0.1:7400';
const DEADLINE_MS = 1000 * Number(process.env.ASSENT_DEADLINE ?? 30);
const TIMEOUT_MS = 5000; // for the decision; finishing the branches may take as long again
const ATTEMPT_MS = 2 * TIMEOUT_MS + 4000; // how long an answer is waited for
const ATTEMPT_MIN_MS = 1000; // less would tell nothing about a busy machine
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 2000;

const PAID = 0, DECLINED = 1, UNKNOWN = 2, WRONG = 64, UNAVAILABLE = 69;

/** Nothing was sent, so nothing can have happened. */
class NotSent extends Error {}
/** The request has left, or may have, and what became of it is not known. */
class Lost extends Error {}

/** One request; status, headers and the JSON object. JSON.parse would round numbers: results are strings. */
async function call(path, waitMs, options = {}) {
    const signal = AbortSignal.timeout(Math.ceil(Math.max(waitMs, ATTEMPT_MIN_MS)));
    let response, text;
    try {
        response = await fetch(API + path, { ...options, signal });
        text = await response.text();
    } catch (error) {
        const code = error.cause?.code ?? error.name;
        throw code === 'ECONNREFUSED' ? new NotSent(`nobody listens at ${API}`) : new Lost(`no answer: ${code}`);
    }
    if (!/^application\/(problem\+)?json\b/.test(response.headers.get('Content-Type') ?? '')) {
        throw new Lost(`status ${response.status}, but not from Assent`); // a proxy's page proves nothing
    }
    return { status: response.status, headers: response.headers, answer: JSON.parse(text) };
}

/** The amount stays text: as a number, 12.50 would become 12.5. */
function transaction(order, customer, amount) {
    return JSON.stringify({ timeout_ms: TIMEOUT_MS, branches: [
        { participant: 'order', statements: [
            { sql: 'INSERT INTO orders (id, customer, amount) VALUES ($1, $2, $3)',
              params: [order, customer, amount] }] },
        { participant: 'payment', statements: [
            { sql: 'UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2'
                  + ' RETURNING balance',
              params: [customer, amount], expect_rows: 1 },
            { sql: 'INSERT INTO payments (id, account, amount) VALUES ($1, $2, $3)',
              params: [order, customer, amount] }] }] });
}

/** What an answer means, as exit code and words; null: send the same request again. */
function judge(status, answer) {
    if (answer.state === 'heuristic') {
        return [UNKNOWN, `done by hand in part, an operator must look at ${answer.id}`];
    }
    if (status === 200) {
        const words = `paid, ${answer.branches[1].results[0].rows[0][0]} left`;
        return [PAID, answer.completed // if not: decided for good, Assent finishes it as soon as it can
            ? words : `${words} (still being finished at ${answer.pending.join(', ')})`];
    }
    if (answer.retryable) { // 409 serialization ..., 429, 503, 504, 500
        return null;
    }
    if (status === 409 && answer.reason === 'row_count' && answer.participant === 'payment') {
        return [DECLINED, 'declined: not enough money'];
    }
    return status === 409
        ? [DECLINED, `declined: ${answer.detail}`]
        : [WRONG, `refused: ${answer.detail}`]; // 400, 403, 422 ...: a mistake of this program
}

/** Has anything committed under this key? null if nothing tells so. */
async function ask(key) {
    try {
        const { status, answer } = await call(`/v1/transactions?limit=1&key=${encodeURIComponent(key)}`, ATTEMPT_MIN_MS);
        const state = status === 200 ? answer.transactions[0]?.state : undefined;
        return ['committing', 'committed'].includes(state) ? [PAID, 'paid, as its key tells'] : null;
    } catch (error) {
        if (error instanceof NotSent || error instanceof Lost) {
            return null;
        }
        throw error;
    }
}

/** Sends the same request with the same key until it has a final answer or the time is up. */
async function checkout(order, customer, amount) {
    const key = `checkout-${order}`;
    const request = {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': `"${key}"` },
        body: transaction(order, customer, amount),
    };
    const end = performance.now() + DEADLINE_MS;
    let mayHaveHappened = false;
    for (let attempt = 0; ; attempt++) {
        let pauseMs = Math.random() * Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** attempt);
        let verdict = null;
        let why;
        try {
            const waitMs = Math.min(ATTEMPT_MS, end - performance.now());
            const { status, headers, answer } = await call('/v1/transactions', waitMs, request);
            verdict = judge(status, answer);
            if (answer.state === 'unknown') {
                mayHaveHappened = true;
                verdict = await ask(key);
            }
            pauseMs += 1000 * Number(headers.get('Retry-After') ?? 0);
            why = answer.detail;
        } catch (error) {
            if (!(error instanceof NotSent || error instanceof Lost)) {
                throw error;
            }
            mayHaveHappened ||= error instanceof Lost;
            why = error.message;
        }
        if (verdict !== null) {
            return verdict;
        }
        if (performance.now() + pauseMs >= end) {
            break;
        }
        console.error(`again in ${(pauseMs / 1000).toFixed(2)} s: ${why}`);
        await sleep(pauseMs);
    }
    return mayHaveHappened
        ? await ask(key) ?? [UNKNOWN, 'not known yet: ask again with the same key']
        : [UNAVAILABLE, 'not available, nothing was done'];
}

const [order, customer, amount, ...rest] = process.argv.slice(2);
if (amount === undefined || rest.length > 0) {
    console.error('usage: checkout.mjs ORDER CUSTOMER AMOUNT');
    process.exit(WRONG);
}
const [code, message] = await checkout(order, customer, amount);
console.log(`order ${order}: ${message}`);
process.exitCode = code;

#!/usr/bin/env node
// discount.mjs - what one database says decides what is done in another: a transaction statement by statement.
//
//     discount.mjs ORDER CUSTOMER AMOUNT
//
// A customer who has ordered before (database "order") pays a tenth less (database "payment"). Prints one line and exits with 0 paid,
// 1 declined, 2 not known, 64 the request is wrong, 69 not available. ASSENT_API is the coordinator (http://127.0.0.1:7400),
// ASSENT_DEADLINE for how many seconds to try (30). Node 18 or later, no packages.
import { setTimeout as sleep } from 'node:timers/promises';

const API = process.env.ASSENT_API ?? 'http://127.0.0.1:7400';
const END = performance.now() + 1000 * Number(process.env.ASSENT_DEADLINE ?? 30);
const TIMEOUT_MS = 5000; // from the opening to the decision: locks are held meanwhile
const ANSWER_MS = 2 * TIMEOUT_MS + 4000;
const PAUSE_MAX_MS = 2000;

const PAID = 0, DECLINED = 1, UNKNOWN = 2, WRONG = 64, UNAVAILABLE = 69;

/** The transaction, or the attempt to begin one, is over, and nothing of it remains; problem is what Assent said. */
class Ended extends Error {
    constructor(problem) {
        super(problem.detail);
        this.problem = problem;
    }
}
/** No answer, or none of Assent's: what became of the request is not known. But nothing commits by itself. */
class Lost extends Error {}
/** The same of the commit: it may have committed. */
class Unknown extends Error {}

async function post(path, body) {
    let response, text;
    try {
        response = await fetch(API + path, {
            method: 'POST', headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify(body), signal: AbortSignal.timeout(ANSWER_MS) });
        text = await response.text();
    } catch (error) {
        throw new Lost(`no answer: ${error.cause?.code ?? error.name}`);
    }
    if (!/^application\/(problem\+)?json\b/.test(response.headers.get('Content-Type') ?? '')) {
        throw new Lost(`status ${response.status}, but not from Assent`);
    }
    const answer = JSON.parse(text);
    if (response.ok) {
        return answer;
    }
    throw answer.state === 'unknown' ? new Lost(answer.detail) : new Ended(answer);
}

/** For requests that may be repeated: a statement with its seq, a commit. */
async function insist(path, body) {
    for (;;) {
        try {
            return await post(path, body);
        } catch (error) {
            if (!(error instanceof Lost) || performance.now() >= END) {
                throw error;
            }
            await sleep(50 + 150 * Math.random());
        }
    }
}

class Transaction {
    #seq = 0;

    static async open() {
        const transaction = new Transaction();
        transaction.path = `/v1/transactions/${(await post('/v1/transactions/open', { timeout_ms: TIMEOUT_MS })).id}`;
        return transaction;
    }

    /** One statement; its rows. The same number again would give the same answer again, and run nothing twice. */
    async run(participant, sql, params, members = {}) {
        const body = { participant, sql, params, seq: ++this.#seq, ...members };
        return (await insist(`${this.path}/statements`, body)).results[0].rows;
    }

    async commit() {
        try {
            return await insist(`${this.path}/commit`, {});
        } catch (error) {
            throw error instanceof Lost ? new Unknown(error.message) : error;
        }
    }
}

/** In cents, since 0.1 + 0.2 is not 0.3; a whole number of them is exact up to 90 trillion. */
function discounted(amount, earlier) {
    const [, whole, cents = ''] = /^(\d{1,12})(?:\.(\d{1,2}))?$/.exec(amount) ?? [];
    if (whole === undefined) {
        return amount; // PostgreSQL will say what is wrong with it
    }
    const price = Math.round((Number(whole) * 100 + Number(cents.padEnd(2, '0'))) * (earlier > 0 ? 90 : 100) / 100);
    return `${Math.floor(price / 100)}.${String(price % 100).padStart(2, '0')}`;
}

/** All of it, or nothing. */
async function orderWithDiscount(order, customer, amount) {
    const transaction = await Transaction.open();
    const [[earlier]] = await transaction.run('order', 'SELECT count(*) FROM orders WHERE customer = $1', [customer]);
    const price = discounted(amount, Number(earlier));
    const [[left]] = await transaction.run('payment',
        'UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2 RETURNING balance', [customer, price],
        { expect_rows: 1 });
    await transaction.run('payment', 'INSERT INTO payments (id, account, amount) VALUES ($1, $2, $3)', [order, customer, price]);
    await transaction.run('order', 'INSERT INTO orders (id, customer, amount) VALUES ($1, $2, $3)', [order, customer, price]);
    const { state } = await transaction.commit();
    return state === 'heuristic'
        ? [UNKNOWN, 'done by hand in part, an operator must look at it']
        : [PAID, `${price} paid after ${earlier} earlier orders, ${left} left`];
}

/** What an end means; null: begin anew, also where a restart of Assent has ended it (aborted, for no reason of its own). */
function judge(problem) {
    if (problem.retryable || (problem.state === 'aborted' && problem.reason === undefined)) {
        return null;
    }
    if (problem.reason === 'row_count') {
        return [DECLINED, 'declined: not enough money'];
    }
    return problem.status === 409 ? [DECLINED, `declined: ${problem.detail}`] : [WRONG, `refused: ${problem.detail}`];
}

async function insistOnOrder(order, customer, amount) {
    for (let most = 100; ; most = Math.min(2 * most, PAUSE_MAX_MS)) {
        let why;
        try {
            return await orderWithDiscount(order, customer, amount);
        } catch (error) {
            if (error instanceof Unknown) {
                return [UNKNOWN, `not known: ${error.message}`];
            }
            if (!(error instanceof Ended || error instanceof Lost)) {
                throw error;
            }
            const verdict = error instanceof Ended ? judge(error.problem) : null;
            if (verdict !== null) {
                return verdict;
            }
            if (performance.now() + most >= END) {
                return [UNAVAILABLE, 'not available, nothing was done'];
            }
            why = error.message;
        }
        console.error(`again: ${why}`);
        await sleep(most * Math.random());
    }
}

const [order, customer, amount, ...rest] = process.argv.slice(2);
if (amount === undefined || rest.length > 0) {
    console.error('usage: discount.mjs ORDER CUSTOMER AMOUNT');
    process.exit(WRONG);
}
const [code, message] = await insistOnOrder(order, customer, amount);
console.log(`order ${order}: ${message}`);
process.exitCode = code;

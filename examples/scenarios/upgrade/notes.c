/* notes.c - what became of each shopper, as rows; figures; and the verdict, asked from the databases (shop.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "examples/scenarios/upgrade/shop.h"

static const char *const moments[] = {[BEFORE] = "before",
                                      [BETWEEN] = "between",
                                      [AWAY] = "away",
                                      [RESTART] = "restart",
                                      [BACK] = "back"};

static void write_one(FILE *answers, FILE *told, const char *cart, bool is_queued,
                      const struct press *press)
{
    const char *state = press->has_left ? "left" : press->told_state;
    fprintf(answers, "%s\t%d\t%s\t%ld\t%s\t%d\t%" PRIu64 "\n", cart, is_queued,
            moments[press->moment], press->status, press->reason, press->may_retry, press->took_us);
    fprintf(told, "%s\t%ld\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\n", cart, press->told_status,
            state != NULL ? state : "-", press->accepted_as != NULL ? press->accepted_as : "\\N",
            press->sent_us, press->accepted_us);
}

void notes_write(struct kit *kit, const struct shop *shop)
{
    char *answers = NULL;
    char *told = NULL;
    size_t answers_bytes = 0;
    size_t told_bytes = 0;
    FILE *first = open_memstream(&answers, &answers_bytes);
    FILE *last = open_memstream(&told, &told_bytes);
    if (first == NULL || last == NULL) {
        abort();
    }
    for (uint64_t i = 0; i < shop->count; i++) {
        char *cart = shopper_cart(kit, i);
        write_one(first, last, cart, shopper_is_queued(i), &shop->presses[i]);
        free(cart);
    }
    fclose(first);
    fclose(last);
    database_copy(kit, "order", "answers", answers);
    database_copy(kit, "order", "told", told);
    free(told);
    free(answers);
}

static json_t *ask_figures(struct kit *kit)
{
    char *text = database_value(
        kit, "order",
        "WITH away AS (SELECT queued, status, took_us / 1000.0 AS ms FROM answers"
        " WHERE moment = 'away'),"
        " told AS (SELECT ms FROM away WHERE NOT queued AND status = 503),"
        " taken AS (SELECT ms FROM away WHERE queued AND status = 202)"
        " SELECT row_to_json(f) FROM (SELECT count(*) AS shoppers,"
        " count(*) FILTER (WHERE status = 200) AS bought_at_once,"
        " count(*) FILTER (WHERE status = 202) AS accepted_at_once,"
        " count(*) FILTER (WHERE status = 0) AS found_nobody,"
        " (SELECT count(*) FROM upgrade.told WHERE state = 'left') AS have_left,"
        " (SELECT count(*) FROM away) AS came_while_away,"
        " (SELECT count(*) FROM away WHERE queued) AS queued_while_away,"
        " (SELECT count(*) FROM taken) AS accepted_while_away,"
        " (SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 1) FROM taken)"
        " AS accepted_p50_ms,"
        " (SELECT round(max(ms), 1) FROM taken) AS accepted_max_ms,"
        " (SELECT count(*) FROM told) AS told_503_while_away,"
        " (SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 1) FROM told)"
        " AS told_p50_ms,"
        " (SELECT round(max(ms), 1) FROM told) AS told_max_ms FROM answers) AS f");
    json_t *figures = json_loads(text, 0, NULL);
    if (figures == NULL) {
        kit_give_up(kit, EX_SOFTWARE, NULL, "the figures are not JSON: %s", text);
    }
    free(text);
    return figures;
}

void notes_tell(struct kit *kit, uint64_t away_ms, uint64_t caught_up_ms)
{
    json_t *figures = ask_figures(kit);
    json_object_set_new(figures, "away_ms", json_integer((json_int_t)away_ms));
    json_object_set_new(figures, "caught_up_ms", json_integer((json_int_t)caught_up_ms));
    kit_title(kit, "The upgrade");
    kit_say(kit, "the payment database was away for %.1f s, and assentd was killed meanwhile",
            (double)away_ms / 1000);
    kit_say(kit, "%lld shoppers came while it was away:",
            (long long)json_integer_value(json_object_get(figures, "came_while_away")));
    kit_say(kit, "    %lld orders were accepted (202), half of them within %.1f ms",
            (long long)json_integer_value(json_object_get(figures, "accepted_while_away")),
            json_number_value(json_object_get(figures, "accepted_p50_ms")));
    kit_say(kit, "    %lld shoppers were told 503, half of them within %.1f ms",
            (long long)json_integer_value(json_object_get(figures, "told_503_while_away")),
            json_number_value(json_object_get(figures, "told_p50_ms")));
    kit_say(kit, "all was done %.1f s after it was back", (double)caught_up_ms / 1000);
    json_object_set_new(kit->summary, "figures", figures);
}

/* None lost, none twice. */
static void judge_orders(struct kit *kit)
{
    /* The carts of those who have not left, as the notes say; who left must have nothing. */
    char *stayed =
        database_value(kit, "order", "SELECT count(*), count(*) FROM told WHERE state <> 'left'");
    char *each = kit_text("%1$" PRIu64 " %1$" PRIu64, kit->options.shoppers);
    verdict_is(kit, "one order of each cart: none lost, none twice", "order",
               "SELECT count(*), count(DISTINCT cart) FROM orders", stayed);
    verdict_is(kit, "one payment of each cart", "payment",
               "SELECT count(*), count(DISTINCT cart) FROM payments", stayed);
    verdict_same(kit, "what was ordered is what was paid", "order",
                 "SELECT string_agg(cart || ' ' || amount, ', ' ORDER BY cart COLLATE \"C\")"
                 " FROM orders",
                 "payment",
                 "SELECT string_agg(cart || ' ' || amount, ', ' ORDER BY cart COLLATE \"C\")"
                 " FROM payments");
    verdict_is(kit, "what was paid is what left the accounts", "payment",
               "SELECT (SELECT sum(amount) FROM payments)"
               " = (SELECT sum(" BALANCE " - balance) FROM accounts)",
               "t");
    verdict_is(kit, "some left after a 503, and it left nothing of theirs", "order",
               "SELECT count(*) > 0, count(orders.cart) FROM told LEFT JOIN orders USING (cart)"
               " WHERE state = 'left'",
               "t 0");
    verdict_is(kit, "what does not need the payment database went on: one wish of each cart",
               "order", "SELECT count(*), count(DISTINCT cart) FROM wishes", each);
    verdict_is(kit, "in the end all who stayed were told that it is committed", "order",
               "SELECT count(*), count(*) FILTER (WHERE status = 200 AND state = 'committed')"
               " FROM told WHERE state <> 'left'",
               stayed);
    free(each);
    free(stayed);
}

/* What the shoppers were told while it was away. */
static void judge_answers(struct kit *kit, uint64_t away_count)
{
    char *came =
        kit_text("SELECT count(*) >= %" PRIu64 " FROM answers WHERE moment = 'away'", away_count);
    verdict_is(kit, "shoppers came while it was away", "order", came, "t");
    verdict_is(kit, "orders were accepted then", "order",
               "SELECT count(*) > 0 FROM answers WHERE moment = 'away' AND queued"
               " AND status = 202",
               "t");
    verdict_is(kit, "who wanted to know at once was told 503 then", "order",
               "SELECT count(*) > 0 FROM answers WHERE moment = 'away' AND NOT queued"
               " AND status = 503",
               "t");
    verdict_is(kit, "whoever was not served then was told so, and when to try again, in a second",
               "order",
               "SELECT count(*) FROM answers WHERE moment = 'away' AND status NOT IN (0, 200, 202)"
               " AND NOT ((status = 503 AND reason IN ('participant_unavailable', 'shutdown')"
               " OR status = 429 AND queued) AND may_retry AND took_us < 1000000)",
               "0");
    free(came);
}

/* The queue. A place is what the statement itself saw, so a request that ran beside the one before it, or before that was committed in
 * this database, has a wrong one. */
static void judge_queue(struct kit *kit)
{
    verdict_is(kit, "the coordinator that accepted them was not always the same one", "order",
               "SELECT count(DISTINCT split_part(accepted_as, '-', 2)) > 1 FROM told", "t");
    verdict_is(kit, "all that was accepted ran, one after the other", "order",
               "SELECT count(*) FILTER (WHERE orders.cart IS NULL OR place IS NULL), "
               "count(*) - count(DISTINCT place), min(place), max(place) + 1 - count(*)"
               " FROM told LEFT JOIN orders USING (cart) WHERE accepted_as IS NOT NULL",
               "0 0 0 0");
    verdict_is(kit, "in the order of acceptance, as the ids number it", "order",
               "SELECT count(*) FROM (SELECT place, row_number() OVER (ORDER BY"
               " split_part(accepted_as, '-', 2)::bigint, split_part(accepted_as, '-', 4)::bigint)"
               " - 1 AS accepted FROM told JOIN orders USING (cart)"
               " WHERE accepted_as IS NOT NULL) AS queue WHERE place <> accepted",
               "0");
    verdict_is(kit, "nobody was served before someone who had been accepted when they came",
               "order",
               "SELECT count(*) FROM (SELECT accepted_us, max(sent_us) OVER (ORDER BY place"
               " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS sent_us"
               " FROM told JOIN orders USING (cart) WHERE accepted_as IS NOT NULL) AS queue"
               " WHERE sent_us > accepted_us",
               "0");
    verdict_same(
        kit, "the payment database saw the same order", "order",
        "SELECT string_agg(place || ' ' || cart, ', ' ORDER BY place, cart) FROM orders", "payment",
        "SELECT string_agg(place || ' ' || cart, ', ' ORDER BY place, cart) FROM payments");
}

void notes_judge(struct kit *kit, uint64_t away_count)
{
    kit_title(kit, "Verdict");
    verdict_settled(kit);
    verdict_is(kit, "the payment database was restarted after the shop was opened", "payment",
               "SELECT pg_postmaster_start_time() > (SELECT opened FROM shop)", "t");
    judge_answers(kit, away_count);
    judge_orders(kit);
    judge_queue(kit);
}

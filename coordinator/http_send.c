/*
 * http_send.c - a reply as a response of libmicrohttpd.
 *
 * Called by http_exchange.c, last for every request.
 */
#include <stdio.h>

#include "common/check.h"
#include "coordinator/http_internal.h"

static void header_add(struct MHD_Response *response, const char *name, const char *value)
{
    CHECK(MHD_add_response_header(response, name, value) == MHD_YES);
}

static struct MHD_Response *response_new(const struct reply *reply)
{
    if (reply->fixed_body != NULL) {
        /* Persistent: never written to, the missing const is the library's. */
        return MHD_create_response_from_buffer(
            reply->fixed_body_bytes, (void *)(uintptr_t)reply->fixed_body, MHD_RESPMEM_PERSISTENT);
    }
    return MHD_create_response_from_buffer(reply->body.size_bytes, reply->body.bytes,
                                           MHD_RESPMEM_MUST_FREE);
}

/* Of every answer. */
static void headers_add(struct MHD_Response *response, const struct exchange *exchange,
                        const char *content_type)
{
    header_add(response, "Content-Type", content_type);
    header_add(response, "Cache-Control", "no-store");
    header_add(response, "X-Content-Type-Options", "nosniff");
    if (atomic_load(&exchange->http->draining)) {
        header_add(response, "Connection", "close");
    }
}

enum MHD_Result reply_send_stream(struct exchange *exchange)
{
    struct MHD_Response *response = stream_response(exchange);
    CHECK(response != NULL);
    headers_add(response, exchange, "text/event-stream; charset=utf-8");
    header_add(response, "X-Accel-Buffering", "no"); /* a proxy is not to collect events */
    if (exchange->is_head) {
        /* libmicrohttpd 0.9.75 ends the chunks that it has not sent: the next answer would begin with them. So: none, and close. */
        CHECK(MHD_set_response_options(response, MHD_RF_HTTP_VERSION_1_0_ONLY, MHD_RO_END) ==
              MHD_YES);
    }
    const enum MHD_Result result = MHD_queue_response(exchange->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result reply_send(const struct exchange *exchange, struct reply *reply)
{
    struct MHD_Response *response = response_new(reply);
    CHECK(response != NULL);
    headers_add(response, exchange, reply->content_type);
    if (reply->id[0] != '\0') {
        header_add(response, "Assent-Transaction", reply->id);
    }
    if (reply->has_location) {
        char location[GTRID_TEXT_SIZE + 32];
        (void)snprintf(location, sizeof location, "/v1/transactions/%s", reply->id);
        header_add(response, "Location", location);
    }
    if (reply->is_async) {
        header_add(response, "Preference-Applied", "respond-async");
    }
    if (reply->retry_after_s != 0) {
        char seconds[16];
        (void)snprintf(seconds, sizeof seconds, "%u", reply->retry_after_s);
        header_add(response, "Retry-After", seconds);
    }
    if (reply->allow != NULL) {
        header_add(response, "Allow", reply->allow);
    }
    if (reply->replayed) {
        header_add(response, "Idempotent-Replayed", "true");
    }
    const enum MHD_Result result =
        MHD_queue_response(exchange->connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

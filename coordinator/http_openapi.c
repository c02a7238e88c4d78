/*
 * http_openapi.c - docs/openapi.json as bytes of the executable, so that what is served is what was
 * built.
 *
 * The assembler reads the file; the build makes this object depend on it.
 */
#include "coordinator/http_reply.h"

#ifndef ASSENT_OPENAPI_FILE
#error "ASSENT_OPENAPI_FILE must name docs/openapi.json"
#endif

__asm__(".pushsection .rodata\n"
        ".global openapi_document\n"
        ".type openapi_document, @object\n"
        "openapi_document:\n"
        ".incbin \"" ASSENT_OPENAPI_FILE "\"\n"
        ".global openapi_document_end\n"
        ".type openapi_document_end, @object\n"
        "openapi_document_end:\n"
        ".byte 0\n"
        ".size openapi_document, openapi_document_end - openapi_document\n"
        ".size openapi_document_end, 1\n"
        ".popsection\n");

void reply_openapi(struct reply *ret_reply)
{
    *ret_reply = (struct reply){
        .status = 200,
        .content_type = "application/json",
        .fixed_body = openapi_document,
        .fixed_body_bytes = (size_t)(openapi_document_end - openapi_document),
    };
}

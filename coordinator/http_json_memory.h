/*
 * http_json_memory.h - where yajl gets its memory. Used by the two files that use yajl.
 *
 * yajl believes every allocation: with the C library's functions a request, or an answer, that meets the end of memory would
 * write to NULL. With these it ends the process as every other one does (alloc.h).
 */
#ifndef ASSENT_COORDINATOR_HTTP_JSON_MEMORY_H
#define ASSENT_COORDINATOR_HTTP_JSON_MEMORY_H

#include <yajl/yajl_common.h>

extern const yajl_alloc_funcs json_memory;

#endif

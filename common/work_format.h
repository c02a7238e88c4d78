/*
 * work_format.h - numbers that the payloads' writer and reader share (docs/PROTOCOL.md,
 * "Payloads"). Used by work.c and work_decode.c only.
 */
#ifndef ASSENT_COMMON_WORK_FORMAT_H
#define ASSENT_COMMON_WORK_FORMAT_H

#define PAYLOAD_VERSION    1
#define STATEMENT_ELEMENTS 3 /* sql, params, expect_rows */
#define OPERATION_ELEMENTS 4 /* name, names of the arguments, arguments, expect_rows */
#define RESULT_ELEMENTS    4 /* command, rows_affected, columns, rows */
#define COLUMN_ELEMENTS    3 /* name, type, oid */
#define REPORT_ELEMENTS    8 /* version, six texts, statement_index */

#endif

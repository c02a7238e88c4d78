/*
 * fuzz.h - what libFuzzer calls; fuzz_main.c calls the same with files where there is no libFuzzer.
 */
#ifndef ASSENT_TESTS_FUZZ_FUZZ_H
#define ASSENT_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

#endif

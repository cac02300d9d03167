/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as text and back: base64 (RFC 4648, standard and URL alphabets), hex, percent-encoding; and what
 * characters a text is made of. All pure. Decoders are strict unless they say otherwise. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* Length of the padded text for `length` bytes, without NUL. */
size_t codec_base64_length(size_t length);
/* Writes standard base64 with padding and a NUL; `ret_text` takes codec_base64_length() + 1. */
void codec_base64_encode(const void *data, size_t length, char *ret_text);
/* URL alphabet, no padding; the same room suffices. */
void codec_base64url_encode(const void *data, size_t length, char *ret_text);
/* Decodes `length` characters of either alphabet, padded or not; ASCII white space is skipped
 * (vendors and clients wrap lines). `ret_data` takes length / 4 * 3 + 3 bytes. False when
 * a character is foreign, padding stands in the middle, or the length cannot be. */
CHECKED bool codec_base64_decode(const char *text, size_t length, uint8_t *ret_data,
                                 size_t *ret_length);
/* Lower-case hex and a NUL: `ret_text` takes 2 * length + 1. */
void codec_hex_encode(const void *data, size_t length, char *ret_text);
/* Exactly 2 * length hex digits of either case. */
CHECKED bool codec_hex_decode(const char *text, uint8_t *ret_data, size_t length);
/* Decodes %XX in place ('+' stays '+'); false on a broken escape or an encoded NUL. */
CHECKED bool codec_percent_decode(char *text);
/* Nothing but ASCII from blank to `~`? */
bool codec_is_printable(const char *text);
/* Is `word` (not empty, without blanks) one of `words`, which blanks part? */
bool codec_has_word(const char *words, const char *word);
/* Is this well-formed UTF-8 (RFC 3629) without NUL? */
bool codec_is_utf8(const char *text, size_t length);
/* For tests: characters (code points) of well-formed UTF-8. */
size_t codec_utf8_count(const char *text);
/* How many bytes of UTF-8 text, `most` at the most, end with a whole character. */
size_t codec_utf8_fit(const char *text, size_t most);
/* One step through text that may be broken: reads the character at `text`, of which `length` > 0
 * bytes are there, and returns how many bytes it took. A byte that begins no well-formed
 * character counts as U+FFFD and takes one. */
size_t codec_utf8_step(const char *text, size_t length, uint32_t *ret_code);

enum { CODEC_PIECE_SIZE = 8 };

/* The same step, giving the character as it stands inside a JSON string (escaped where it must
 * be, and where a terminal would obey it), with a NUL. */
size_t codec_json_step(const char *text, size_t length, char ret_piece[CODEC_PIECE_SIZE]);

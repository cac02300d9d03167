/* SPDX-License-Identifier: Apache-2.0
 *
 * Blanking out what must not be shown in texts of strangers, who may quote what they were sent. Pure. */
#pragma once

enum {
    REDACT_SECRET_LEAST = 8
}; /* bytes; what is shorter is no secret, and would blank out words */

/* Puts asterisks over each place where `secret` (NULL: none) stands in `text`: as it is, or as an address or JSON spells it
 * (`%2B` for `+`, `\/` for `/`). */
void redact(char *text, const char *secret);
/* The same over what follows `mark`, which may be spelt in those ways, up to a blank or a quotation mark. */
void redact_behind(char *text, const char *mark);

/* SPDX-License-Identifier: Apache-2.0
 *
 * The Content-Disposition of a download (RFC 6266), from a name that a stranger may have chosen.
 * Pure. */
#pragma once

/* `attachment; filename="…"`, and `filename*` (RFC 8187) when the name is not ASCII; printable
 * ASCII, and below 1 KiB. Of the name (UTF-8) nothing is left that could end the quotes or the
 * header, leave the folder, hide the file or show another extension than it has. What is too long
 * loses the end of its stem, never its extension. malloc'ed, never NULL. */
char *disposition_attachment(const char *name);

/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate webhooks`: endpoints, the signing secret and the log of a running gateway. */
#pragma once

int webhooks_main(int argc, char **argv);

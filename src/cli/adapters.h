/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate adapters`: the adapters that there are, a first text for a new one, and their golden exchanges. */
#pragma once

int adapters_main(int argc, char **argv);

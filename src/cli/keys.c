/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate keys`. A key is printed once, when it is made; the store holds only its hash. One
 * thread. */
#include "cli/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/id.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/local.h"
#include "cli/verbs.h"

static const char HELP[] =
    "Usage: filmgate keys create --name NAME [--tenant TENANT] [--operator] [--json]\n"
    "       filmgate keys [list] [--json]\n"
    "       filmgate keys revoke NAME|ID [--json]\n"
    "\n"
    "Makes, lists and revokes API keys, in the data directory itself: before the server runs\n"
    "or beside it. A running server takes notice within a second or two.\n"
    "\n"
    "`create` prints the key alone on standard output, once; only its hash is kept. The data\n"
    "directory and its database are made if they do not exist.\n"
    "\n"
    "Options:\n"
    "  -n, --name NAME          what the key is called; unique among the valid keys\n"
    "  -t, --tenant TENANT      whose tasks the key makes and sees (default: NAME); keys of\n"
    "                           one tenant share their tasks\n"
    "      --operator           an operator's key: it sees the tasks of all tenants\n"
    "      --json               print JSON: the key's record (when made, with the key), or all\n"
    "                           records as an array\n"
    "  -d, --data DIR           the data directory (default: the configuration's, else ./var)\n"
    "  -c, --config FILE        the configuration file\n"
    "  -h, --help               show this help\n"
    "\n"
    "Names are 1 to 64 of A-Z a-z 0-9 . _ @ -\n"
    "\n"
    "Examples:\n"
    "  export FILMGATE_KEY=$(filmgate keys create --name laptop)\n"
    "  filmgate keys list\n"
    "  filmgate keys revoke laptop\n"
    "\n"
    "Exit status:\n"
    "  0    done\n"
    "  2    wrong usage or configuration, a name that is taken, or no such key\n"
    "  5    trouble on this machine: the data directory or its database\n";

static const char NAME_RULE[] = "must be 1 to 64 of A-Z a-z 0-9 . _ @ -";

enum { KEY_BYTES = 32, OPTION_OPERATOR = LOCAL_OPTION_NEXT };

static const struct option LONG_OPTIONS[] = {{"name", required_argument, NULL, 'n'},
                                             {"tenant", required_argument, NULL, 't'},
                                             {"operator", no_argument, NULL, OPTION_OPERATOR},
                                             {"json", no_argument, NULL, LOCAL_OPTION_JSON},
                                             LOCAL_OPTIONS};

struct order {
    struct local_order local;
    const char *name, *tenant;
    bool is_operator;
};

int keys_make(struct store *store, const char *name, const char *tenant, bool is_operator,
              char ret_key[KEYS_TEXT_SIZE])
{
    uint8_t bytes[KEY_BYTES];
    char text[KEYS_TEXT_SIZE] = "fg_";
    struct store_key key = {.is_operator = is_operator, .created_ms = clock_wall_ms()};
    crypt_random(bytes, sizeof(bytes));
    codec_base64url_encode(bytes, sizeof(bytes), text + strlen(text));
    crypt_sha256(text, strlen(text), key.hash);
    id_new("key", key.id, sizeof(key.id));
    snprintf(key.name, sizeof(key.name), "%s", name);
    snprintf(key.tenant, sizeof(key.tenant), "%s", tenant);
    int outcome = store_key_add(store, &key);
    if (outcome == STORE_WRITTEN)
        memcpy(ret_key, text, sizeof(text));
    return outcome;
}

/* ---- the verbs ---- */

static int check_create(const struct order *order, const char *argument)
{
    if (argument != NULL)
        return cli_complain_usage("keys", "what is \"%s\" for?", argument);
    if (order->name == NULL)
        return cli_complain_usage("keys", "`keys create` needs --name");
    if (!store_is_name(order->name))
        return cli_complain_usage("keys", "the name \"%s\" %s", order->name, NAME_RULE);
    if (order->tenant != NULL && !store_is_name(order->tenant))
        return cli_complain_usage("keys", "the tenant \"%s\" %s", order->tenant, NAME_RULE);
    return CLI_OK;
}

static json_t *describe(const struct store_key *key)
{
    char created[CLOCK_ISO_SECONDS_SIZE];
    char revoked[CLOCK_ISO_SECONDS_SIZE];
    cli_write_time(key->created_ms, created);
    cli_write_time(key->revoked_ms, revoked);
    json_t *row = json_object();
    json_set_text(row, "id", key->id);
    json_set_text(row, "name", key->name);
    json_set_text(row, "tenant", key->tenant);
    json_set(row, "operator", json_boolean(key->is_operator));
    json_set_text(row, "created_at", created);
    json_set_text(row, "revoked_at", key->revoked_ms > 0 ? revoked : NULL);
    return row;
}

static void print_json(const struct store_key *keys, size_t count)
{
    CLEANUP(json_unref_pointer) json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, describe(&keys[i]));
    cli_print_json(list);
}

/* The record that was written last of those that bear this name or id; `secret` (NULL: not known)
 * goes with it. */
static int print_record(struct store *store, const char *name_or_id, const char *secret)
{
    CLEANUP(free_pointer) struct store_key *keys = NULL;
    size_t count = 0;
    int result = store_keys(store, &keys, &count);
    const struct store_key *found = NULL;
    for (size_t i = 0; result == 0 && i < count; i++) {
        bool is_asked =
            strcmp(keys[i].name, name_or_id) == 0 || strcmp(keys[i].id, name_or_id) == 0;
        bool is_later = found == NULL || keys[i].created_ms >= found->created_ms;
        if (is_asked && is_later)
            found = &keys[i];
    }
    if (result != 0 || found == NULL)
        return local_complain_store(result);
    CLEANUP(json_unref_pointer) json_t *row = describe(found);
    if (secret != NULL)
        json_set_text(row, "key", secret);
    cli_print_json(row);
    return CLI_OK;
}

static int tell_made(const struct order *order, struct store *store, const char *tenant,
                     const char *key)
{
    if (order->local.json)
        return print_record(store, order->name, key);
    fprintf(stderr, "key \"%s\" of tenant \"%s\"%s; it is shown only now, on standard output.\n",
            order->name, tenant, order->is_operator ? ", an operator's" : "");
    puts(key);
    return CLI_OK;
}

static int create_key(void *context, const char *argument)
{
    const struct order *order = context;
    struct store *store = NULL;
    char key[KEYS_TEXT_SIZE];
    const char *tenant = order->tenant != NULL ? order->tenant : order->name;
    int status = check_create(order, argument);
    if (status == CLI_OK)
        status = local_open_store(&order->local, true, &store);
    if (status != CLI_OK)
        return status;
    int outcome = keys_make(store, order->name, tenant, order->is_operator, key);
    if (outcome == STORE_WRITTEN)
        status = tell_made(order, store, tenant, key);
    store_close(store);
    if (outcome == STORE_CONFLICT)
        return cli_complain(CLI_USAGE,
                            "there is a valid key \"%s\" already: revoke it first, or "
                            "choose another name",
                            order->name);
    return outcome == STORE_WRITTEN ? status : local_complain_store(outcome);
}

static void print_table(const struct store_key *keys, size_t count)
{
    printf("%-30s  %-20s  %-20s  %-8s  %-20s  %s\n", "ID", "NAME", "TENANT", "OPERATOR", "CREATED",
           "REVOKED");
    for (size_t i = 0; i < count; i++) {
        char created[CLOCK_ISO_SECONDS_SIZE];
        char revoked[CLOCK_ISO_SECONDS_SIZE];
        cli_write_time(keys[i].created_ms, created);
        cli_write_time(keys[i].revoked_ms, revoked);
        printf("%-30s  %-20s  %-20s  %-8s  %-20s  %s\n", keys[i].id, keys[i].name, keys[i].tenant,
               keys[i].is_operator ? "yes" : "no", created, revoked);
    }
}

static int list_keys(void *context, const char *argument)
{
    const struct order *order = context;
    struct store *store = NULL;
    if (argument != NULL)
        return cli_complain_usage("keys", "what is \"%s\" for?", argument);
    if (order->name != NULL || order->tenant != NULL || order->is_operator)
        return cli_complain_usage("keys", "--name, --tenant and --operator are for `keys create`");
    int status = local_open_store(&order->local, false, &store);
    if (status != CLI_OK)
        return status;
    struct store_key *keys = NULL;
    size_t count = 0;
    int result = store_keys(store, &keys, &count);
    store_close(store);
    if (result != 0)
        return local_complain_store(result);
    if (order->local.json)
        print_json(keys, count);
    else
        print_table(keys, count);
    free(keys);
    return CLI_OK;
}

static int revoke_key(void *context, const char *argument)
{
    const struct order *order = context;
    struct store *store = NULL;
    if (argument == NULL)
        return cli_complain_usage("keys", "`keys revoke` needs the key's name or id");
    int status = local_open_store(&order->local, false, &store);
    if (status != CLI_OK)
        return status;
    int outcome = store_key_revoke(store, argument, clock_wall_ms());
    if (outcome == STORE_WRITTEN && order->local.json)
        status = print_record(store, argument, NULL);
    else if (outcome == STORE_WRITTEN)
        fprintf(stderr, "revoked: \"%s\"\n", argument);
    store_close(store);
    if (outcome == STORE_NOT_FOUND)
        return cli_complain(
            CLI_USAGE, "there is no valid key \"%s\": `filmgate keys list` shows them", argument);
    return outcome == STORE_WRITTEN ? status : local_complain_store(outcome);
}

/* ---- the command ---- */

static int take_option(void *context, int option)
{
    struct order *order = context;
    switch (option) {
    case 'n':
        order->name = optarg;
        return CLI_OK;
    case 't':
        order->tenant = optarg;
        return CLI_OK;
    case OPTION_OPERATOR:
        order->is_operator = true;
        return CLI_OK;
    default:
        return local_take_option(&order->local, option);
    }
}

static const char *const NAMES[] = {"create", "list", "revoke", NULL};
/* In the order of their names. */
static verbs_run_fn *const RUNS[] = {create_key, list_keys, revoke_key};

static const struct verbs VERBS = {
    .options = {"keys", ":n:t:d:c:h", LONG_OPTIONS, HELP, take_option},
    .names = NAMES,
    .runs = RUNS,
    .n_arguments = 1,
};

int keys_main(int argc, char **argv)
{
    struct order order = {0};
    return verbs_run(&VERBS, argc, argv, &order);
}

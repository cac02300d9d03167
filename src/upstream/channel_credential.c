/* SPDX-License-Identifier: Apache-2.0
 *
 * A channel's credentials: does it have what its adapter signs or sends, and nothing else? Any thread. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/must.h"
#include "upstream/channel_parts.h"

const struct channel_credential channel_no_credential = {.name = "default", .key = ""};

static const char *hint_of_secret(enum auth_way auth)
{
    static const char *const HINTS[] = {
        [AUTH_SECRET_NONE] = "",
        [AUTH_SECRET_OPTIONAL] = ", and \"secret\" where it has one",
        [AUTH_SECRET_NEEDED] = " and \"secret\"",
    };
    return HINTS[auth_kind(auth)->secret];
}

/* The JSON key of a service account is read here, and is not kept. */
static bool read_account(struct channel_accounts *accounts, struct channel_credential *credential,
                         char ret_error[SETTINGS_ERROR_SIZE])
{
    char error[SERVICE_ACCOUNT_ERROR_SIZE];
    if (service_account_is_plain(credential->key))
        return true;
    struct service_account *account = service_account_new(credential->key, error);
    if (account == NULL)
        return channel_refuse(ret_error, "has a credential \"%s\" whose key %s", credential->name,
                              error);
    size_t room = (accounts->count + 1) * sizeof(struct service_account *);
    accounts->items = realloc(accounts->items, room);
    must(accounts->items != NULL);
    accounts->items[accounts->count++] = account;
    credential->account = account;
    credential->key = "";
    return true;
}

/* Is there a secret where the adapter signs, and none where it does not? */
static bool check_secret(const struct settings_channel *source, enum auth_way auth,
                         const struct settings_credential *from,
                         char ret_error[SETTINGS_ERROR_SIZE])
{
    enum auth_secret secret = auth_kind(auth)->secret;
    if (from->secret == NULL && secret == AUTH_SECRET_NEEDED)
        return channel_refuse(
            ret_error,
            "has no \"secret\" in the credential \"%s\", with which the adapter \"%s\" signs",
            from->name, source->adapter);
    if (from->secret != NULL && secret == AUTH_SECRET_NONE)
        return channel_refuse(
            ret_error,
            "has a \"secret\" in the credential \"%s\", but the adapter \"%s\" signs "
            "nothing; leave it out",
            from->name, source->adapter);
    return true;
}

/* The key of another vendor's console, an account's or a pair of keys: it would go out as it is, and be refused. */
static bool check_json(const struct settings_channel *source, enum auth_way auth,
                       const struct settings_credential *from, char ret_error[SETTINGS_ERROR_SIZE])
{
    char error[JSON_ERROR_SIZE];
    CLEANUP(json_unref_pointer)
    json_t *json = json_parse(from->key, strlen(from->key), error);
    bool has_secret = auth_kind(auth)->secret != AUTH_SECRET_NONE;
    if (!json_is_object(json) && !json_is_array(json))
        return true;
    return channel_refuse(
        ret_error,
        "has JSON as the key of the credential \"%s\", but the adapter \"%s\" takes a plain key%s",
        from->name, source->adapter,
        has_secret ? "; put its parts into \"key\" and \"secret\"" : "");
}

static bool read_credential(const struct settings_channel *source, enum auth_way auth,
                            const struct settings_credential *from,
                            struct channel_accounts *accounts,
                            struct channel_credential *ret_credential,
                            char ret_error[SETTINGS_ERROR_SIZE])
{
    *ret_credential =
        (struct channel_credential){.name = from->name, .key = from->key, .secret = from->secret};
    if (!check_secret(source, auth, from, ret_error))
        return false;
    if (auth_kind(auth)->key == AUTH_KEY_ACCOUNT)
        return read_account(accounts, ret_credential, ret_error);
    if (!check_json(source, auth, from, ret_error))
        return false;
    return strpbrk(from->key, "\t\r\n") == NULL ||
           channel_refuse(
               ret_error,
               "has a key of several lines in the credential \"%s\", which the adapter \"%s\" "
               "cannot send",
               from->name, source->adapter);
}

bool channel_read_credentials(const struct settings_channel *source, struct arena *arena,
                              struct channel_accounts *accounts, struct channel *channel,
                              char ret_error[SETTINGS_ERROR_SIZE])
{
    if (auth_kind(channel->auth)->key == AUTH_KEY_NONE) {
        if (source->n_credentials > 0)
            return channel_refuse(ret_error,
                                  "has a key, but the adapter \"%s\" sends none; leave it out",
                                  source->adapter);
        channel->credentials = &channel_no_credential;
        channel->n_credentials = 1;
        return true;
    }
    if (source->n_credentials == 0)
        return channel_refuse(
            ret_error,
            "needs a credential for the adapter \"%s\": set \"key\"%s, best from the "
            "environment (key: ${NAME}), or \"credentials\"",
            source->adapter, hint_of_secret(channel->auth));
    struct channel_credential *credentials =
        arena_alloc(arena, source->n_credentials * sizeof(*credentials));
    if (credentials == NULL)
        return channel_refuse(ret_error, "is too large");
    for (size_t i = 0; i < source->n_credentials; i++) {
        if (!read_credential(source, channel->auth, &source->credentials[i], accounts,
                             &credentials[i], ret_error))
            return false;
    }
    channel->credentials = credentials;
    channel->n_credentials = source->n_credentials;
    return true;
}

void channel_accounts_fini(struct channel_accounts *accounts)
{
    for (size_t i = 0; i < accounts->count; i++)
        service_account_free(accounts->items[i]);
    free_pointer(&accounts->items);
    accounts->count = 0;
}

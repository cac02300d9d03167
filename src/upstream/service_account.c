/* SPDX-License-Identifier: Apache-2.0
 *
 * The key is read once, with the configuration, so that a mistake in it is told by `doctor` and at the start, not by the
 * first task. What the endpoint says is a stranger's text: words of it that could be a token are not repeated. */
#include "upstream/service_account.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/json.h"
#include "base/must.h"
#include "net/jwt.h"

enum {
    ASSERTION_LIFE_S = 3600, /* the longest that is taken */
    TOKEN_LIFE_S = 300,      /* of a token whose answer does not say */
    TOKEN_LIFE_MOST_S = 24 * 3600,
    WORD_MAX = 40, /* a longer word of an error may be what nobody should read */
};

static bool is_file_name(const char *key)
{
    static const char end[] = ".json";
    size_t length = strlen(key);
    return length >= strlen(end) && strcmp(key + length - strlen(end), end) == 0;
}

bool service_account_is_plain(const char *key)
{
    const char *begin = key + strspn(key, " \t\r\n");
    return strspn(begin, "{[\"") == 0 && !is_file_name(key);
}

/* ---- the key ---- */

/* Always NULL. */
static char *refuse(char *ret_error, const char *format, ...) PRINTF_LIKE(2, 3);

static char *refuse(char *ret_error, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(ret_error, SERVICE_ACCOUNT_ERROR_SIZE, format, values);
    va_end(values);
    return NULL;
}

static bool is_printable_word(const char *text)
{
    return codec_is_printable(text) && strchr(text, ' ') == NULL;
}

/* A copy of a member, or NULL after refuse(). */
static char *member(const json_t *json, const char *name, char *ret_error)
{
    const char *text = json_text(json, name);
    if (text == NULL || *text == '\0')
        return refuse(ret_error, "has no \"%s\"", name);
    if (!is_printable_word(text))
        return refuse(ret_error, "has a \"%s\" with blanks or other characters that none has",
                      name);
    return must_strdup(text);
}

/* `scheme://host…`: is the host one of these, with or without a port? */
static bool is_this_machine(const char *authority)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]"};
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        size_t length = strlen(hosts[i]);
        if (strncasecmp(authority, hosts[i], length) == 0 &&
            (authority[length] == ':' || authority[length] == '/'))
            return true;
    }
    return false;
}

/* The assertion buys a token for whoever has it: it goes nowhere without TLS, and nowhere that hides behind a name. */
static bool is_token_uri(const char *uri)
{
    static const char https[] = "https://";
    static const char http[] = "http://";
    if (strpbrk(uri, "@?#\\") != NULL)
        return false;
    if (strncmp(uri, http, strlen(http)) == 0)
        return is_this_machine(uri + strlen(http));
    return strncmp(uri, https, strlen(https)) == 0 && isalnum((unsigned char)uri[strlen(https)]);
}

static bool read_texts(struct service_account *account, const json_t *json, char *ret_error)
{
    const char *type = json_text(json, "type");
    if (type == NULL || strcmp(type, "service_account") != 0) {
        refuse(ret_error, "is the key of no service account: its \"type\" is not "
                          "\"service_account\"");
        return false;
    }
    account->email = member(json, "client_email", ret_error);
    account->token_uri = account->email != NULL ? member(json, "token_uri", ret_error) : NULL;
    if (account->token_uri == NULL)
        return false;
    if (!is_token_uri(account->token_uri)) {
        refuse(ret_error, "has a \"token_uri\" that is no https:// address");
        return false;
    }
    if (json_text(json, "private_key_id") != NULL)
        account->key_id = member(json, "private_key_id", ret_error);
    return json_text(json, "private_key_id") == NULL || account->key_id != NULL;
}

static bool read_account(struct service_account *account, const json_t *json, char *ret_error)
{
    if (!read_texts(account, json, ret_error))
        return false;
    const char *pem = json_text(json, "private_key");
    if (pem == NULL) {
        refuse(ret_error, "has no \"private_key\"");
        return false;
    }
    account->key = crypt_rsa_new(pem);
    if (account->key == NULL)
        refuse(ret_error, "has a \"private_key\" that is none of RSA, in PEM and not encrypted, "
                          "of 2048 bits or more");
    return account->key != NULL;
}

struct service_account *service_account_new(const char *text,
                                            char ret_error[SERVICE_ACCOUNT_ERROR_SIZE])
{
    char error[JSON_ERROR_SIZE]; /* may show what stands there: it is not told */
    CLEANUP(json_unref_pointer) json_t *json = json_parse(text, strlen(text), error);
    if (is_file_name(text)) {
        refuse(ret_error, "is the name of a file: give it as \"key_file\"");
        return NULL;
    }
    if (!json_is_object(json)) {
        refuse(ret_error, "is no JSON object: copy the whole file that the console wrote");
        return NULL;
    }
    struct service_account *account = must_calloc(1, sizeof(*account));
    crypt_sha256(text, strlen(text), account->digest);
    return read_account(account, json, ret_error) ? account : service_account_free(account);
}

struct service_account *service_account_free(struct service_account *account)
{
    if (account == NULL)
        return NULL;
    crypt_rsa_free(account->key);
    free(account->email);
    free(account->key_id);
    free(account->token_uri);
    free(account);
    return NULL;
}

/* ---- what is asked ---- */

static char *header_of(const struct service_account *account)
{
    CLEANUP(json_unref_pointer) json_t *header = json_object();
    json_set_text(header, "alg", "RS256");
    json_set_text(header, "typ", "JWT");
    if (account->key_id != NULL)
        json_set_text(header, "kid", account->key_id);
    return json_dumps(header, JSON_COMPACT);
}

static char *claims_of(const struct service_account *account, const char *scope, int64_t now_s)
{
    CLEANUP(json_unref_pointer) json_t *claims = json_object();
    json_set_text(claims, "iss", account->email);
    json_set_text(claims, "scope", scope);
    json_set_text(claims, "aud", account->token_uri);
    json_set(claims, "iat", json_integer(now_s));
    json_set(claims, "exp", json_integer(now_s + ASSERTION_LIFE_S));
    return json_dumps(claims, JSON_COMPACT);
}

bool service_account_ask(const struct service_account *account, const char *scope, int64_t now_s,
                         struct buf *out)
{
    CLEANUP(free_pointer) char *header = header_of(account);
    CLEANUP(free_pointer) char *claims = claims_of(account, scope, now_s);
    must(header != NULL && claims != NULL);
    buf_puts(out, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=");
    return jwt_sign_rs256(header, claims, account->key, out);
}

/* ---- what is answered ---- */

/* Adds a stranger's words, as far as they are words. */
static void add_words(struct buf *out, const char *text)
{
    while (*text != '\0') {
        size_t blanks = strspn(text, " ");
        size_t length = strcspn(text + blanks, " ");
        buf_add(out, text, blanks);
        if (length > WORD_MAX)
            buf_puts(out, "...");
        for (size_t i = 0; i < length && length <= WORD_MAX; i++) {
            char c = text[blanks + i];
            buf_putc(out, c < ' ' || c > '~' ? '?' : c);
        }
        text += blanks + length;
    }
}

/* {error, error_description} (RFC 6749, section 5.2). */
static void explain(long status, const json_t *said, char *ret_note)
{
    CLEANUP(buf_fini) struct buf note;
    buf_init(&note, (size_t)4 * SERVICE_ACCOUNT_ERROR_SIZE);
    const char *code = json_text(said, "error");
    const char *text = json_text(said, "error_description");
    buf_printf(&note, "it answered with status %ld", status);
    if (code != NULL) {
        buf_puts(&note, ": ");
        add_words(&note, code);
    }
    if (text != NULL) {
        buf_puts(&note, ": ");
        add_words(&note, text);
    }
    snprintf(ret_note, SERVICE_ACCOUNT_ERROR_SIZE, "%s", buf_text(&note));
}

static bool is_token(const char *token)
{
    return token != NULL && *token != '\0' && strlen(token) <= SERVICE_ACCOUNT_TOKEN_MAX &&
           is_printable_word(token);
}

static bool is_bearer(const json_t *said)
{
    const char *type = json_text(said, "token_type");
    return type == NULL || strcasecmp(type, "Bearer") == 0;
}

static void read_token(const json_t *said, struct service_account_grant *grant)
{
    const char *token = json_text(said, "access_token");
    double life_s = json_number(said, "expires_in", TOKEN_LIFE_S);
    if (!is_token(token) || !is_bearer(said) || !(life_s >= 1)) {
        snprintf(grant->note, sizeof(grant->note), "its answer names no token that can be used");
        return;
    }
    grant->verdict = SERVICE_ACCOUNT_GRANTED;
    grant->token = must_strdup(token);
    grant->life_s = life_s < TOKEN_LIFE_MOST_S ? (int64_t)life_s : TOKEN_LIFE_MOST_S;
}

struct service_account_grant service_account_read(long status, const char *body, size_t length)
{
    struct service_account_grant grant = {.verdict = SERVICE_ACCOUNT_TROUBLE};
    char error[JSON_ERROR_SIZE];
    CLEANUP(json_unref_pointer)
    json_t *said = body != NULL ? json_parse(body, length, error) : NULL;
    if (status == 200) {
        read_token(said, &grant);
        return grant;
    }
    bool is_passing = status == 408 || status == 425 || status == 429;
    if (status >= 400 && status < 500 && !is_passing)
        grant.verdict = SERVICE_ACCOUNT_REFUSED;
    explain(status, said, grant.note);
    return grant;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of tokens, by channel and account: a reload with another key makes another one, while tasks under way go on with
 * theirs. Whatever is told is told from the loop or from the exchange's end, to those who waited when it began; who comes
 * meanwhile is of the next round. The exchange goes the channel's road, follows no redirect, and is the only place where
 * an assertion goes. */
#include "engine/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory_file.h"
#include "base/must.h"
#include "task/policy.h"

enum { ANSWER_MAX = 64 * 1024, CROWDED_MS = 300 };

TAILQ_HEAD(token_waits, token_wait);

struct token {
    struct tokens *tokens;
    char channel[ATTEMPT_NAME_SIZE];
    char *scope;
    uint8_t digest[CRYPT_SHA256_SIZE]; /* of the account */
    char *value;                       /* NULL: none */
    int64_t good_until_ms;
    struct exchange *exchange; /* under way; NULL: none */
    int body;                  /* of it; -1: none */
    struct exchange_road road; /* of it; owned: the channel may be gone before it ends */
    char uri[100];             /* of the endpoint, for notes */
    int n_failures;            /* in a row */
    int64_t rest_until_ms;     /* since the last of them */
    bool is_refused;           /* what it was */
    char note[TOKEN_NOTE_SIZE];
    bool was_dropped;
    int64_t dropped_ms;
    struct loop_timer turn; /* looks at what is to be done for those who wait */
    struct token_waits waits;
    int n_waits;
    unsigned round;
    bool is_telling;
    TAILQ_ENTRY(token) all; /* on tokens.all, the one that was used last at its end */
};

struct tokens {
    struct loop *loop;
    struct exchange_pool *exchanges;
    TAILQ_HEAD(token_list, token) all;
    int n_tokens;
};

struct token_wait {
    struct token *token;
    struct token_query query;
    unsigned round;
    TAILQ_ENTRY(token_wait) waits; /* on token.waits */
};

/* ---- all of them ---- */

static void free_road(struct token *token)
{
    free((void *)(uintptr_t)token->road.ca_file);
    free((void *)(uintptr_t)token->road.proxy);
    token->road = (struct exchange_road){0};
}

static void drop_value(struct token *token)
{
    if (token->value)
        explicit_bzero(token->value, strlen(token->value));
    free(TAKE(token->value));
}

static void free_token(struct token *token)
{
    must(TAILQ_EMPTY(&token->waits) && !token->is_telling);
    TAILQ_REMOVE(&token->tokens->all, token, all);
    token->tokens->n_tokens--;
    loop_disarm(token->tokens->loop, &token->turn);
    exchange_stop(token->exchange);
    close_fd(&token->body);
    free_road(token);
    drop_value(token);
    free(token->scope);
    free(token);
}

struct tokens *tokens_new(struct loop *loop, struct exchange_pool *exchanges)
{
    struct tokens *tokens = must_calloc(1, sizeof *tokens);
    tokens->loop = loop;
    tokens->exchanges = exchanges;
    TAILQ_INIT(&tokens->all);
    return tokens;
}

struct tokens *tokens_free(struct tokens *tokens)
{
    if (!tokens) {
        return NULL;
    }
    for (struct token *token; (token = TAILQ_FIRST(&tokens->all));) {
        free_token(token);
    }
    free(tokens);
    return NULL;
}

static struct token *find(struct tokens *tokens, const struct channel *channel,
                          const struct channel_credential *identity)
{
    struct token *token = TAILQ_FIRST(&tokens->all);
    for (; token; token = TAILQ_NEXT(token, all)) {
        if (memcmp(token->digest, identity->account->digest, sizeof token->digest) == 0 &&
            strcmp(token->channel, channel->name) == 0 &&
            strcmp(token->scope, channel->auth_scope) == 0) {
            break;
        }
    }
    if (token) {
        TAILQ_REMOVE(&tokens->all, token, all);
        TAILQ_INSERT_TAIL(&tokens->all, token, all);
    }
    return token;
}

static void make_room(struct tokens *tokens)
{
    struct token *token = TAILQ_FIRST(&tokens->all);
    while (token && tokens->n_tokens >= TOKENS_MAX) {
        struct token *next = TAILQ_NEXT(token, all);
        if (TAILQ_EMPTY(&token->waits) && !token->is_telling) {
            free_token(token);
        }
        token = next;
    }
}

static void on_turn(struct loop_timer *timer);

static struct token *add(struct tokens *tokens, const struct channel *channel,
                         const struct channel_credential *identity)
{
    make_room(tokens);
    struct token *token = must_calloc(1, sizeof *token);
    token->tokens = tokens;
    snprintf(token->channel, sizeof token->channel, "%s", channel->name);
    token->scope = must_strdup(channel->auth_scope);
    memcpy(token->digest, identity->account->digest, sizeof token->digest);
    token->body = -1;
    token->turn.fire = on_turn;
    TAILQ_INIT(&token->waits);
    TAILQ_INSERT_TAIL(&tokens->all, token, all);
    tokens->n_tokens++;
    return token;
}

/* ---- telling ---- */

static void look_soon(struct token *token, int64_t delay_ms)
{
    loop_arm(token->tokens->loop, &token->turn, delay_ms);
}

static void forget(struct token_wait *wait)
{
    TAILQ_REMOVE(&wait->token->waits, wait, waits);
    wait->token->n_waits--;
    free(wait);
}

static void tell(struct token *token, const struct token_outcome *outcome)
{
    unsigned round = token->round++;
    token->is_telling = true;
    for (struct token_wait *wait; (wait = TAILQ_FIRST(&token->waits)) && wait->round == round;) {
        struct token_query query = wait->query;
        forget(wait);
        query.done(query.context, outcome);
    }
    token->is_telling = false;
}

static void tell_failure(struct token *token)
{
    int64_t left_ms = token->rest_until_ms - clock_mono_ms();
    char note[TOKEN_NOTE_SIZE];
    memcpy(note, token->note, sizeof note); /* a fetch that is begun meanwhile may write another */
    tell(token, &(struct token_outcome){.is_refused = token->is_refused,
                                        .retry_after_ms = left_ms > 0 ? left_ms : 0,
                                        .note = note});
}

/* ---- fetching ---- */

static void end_exchange(struct token *token)
{
    token->exchange = NULL;
    close_fd(&token->body);
    token->body = -1;
}

static void fail(struct token *token, bool is_refused, int64_t retry_after_ms, const char *why)
{
    int64_t rest_ms = policy_backoff(TOKEN_REST_MS, TOKEN_REST_MOST_MS, ++token->n_failures, 0);
    if (is_refused) {
        rest_ms = TOKEN_REST_MOST_MS;
    }
    if (retry_after_ms > rest_ms) {
        rest_ms = retry_after_ms < POLICY_RETRY_AFTER_MOST_MS ? retry_after_ms
                                                              : POLICY_RETRY_AFTER_MOST_MS;
    }
    token->rest_until_ms = clock_mono_ms() + rest_ms;
    token->is_refused = is_refused;
    snprintf(token->note, sizeof token->note, "no access token from %s: %s", token->uri, why);
    tell_failure(token);
}

static void keep(struct token *token, const struct service_account_grant *grant)
{
    int64_t life_ms = grant->life_s * 1000;
    int64_t margin_ms = life_ms / 2 < TOKEN_MARGIN_MS ? life_ms / 2 : TOKEN_MARGIN_MS;
    drop_value(token);
    token->value = grant->token;
    token->good_until_ms = clock_mono_ms() + life_ms - margin_ms;
    token->n_failures = 0;
    tell(token, &(struct token_outcome){.is_granted = true, .note = "it is there"});
}

static void on_answer(void *context, const struct exchange_answer *answer)
{
    struct token *token = context;
    end_exchange(token);
    if (answer->end != EXCHANGE_DONE) {
        fail(token, false, answer->retry_after_ms, answer->note);
        return;
    }
    struct service_account_grant grant =
        service_account_read(answer->status, answer->body, (size_t)answer->body_bytes);
    if (grant.verdict == SERVICE_ACCOUNT_GRANTED) {
        keep(token, &grant);
    } else {
        fail(token, grant.verdict == SERVICE_ACCOUNT_REFUSED, answer->retry_after_ms, grant.note);
    }
}

/* An answer that is too long for a token is none. */
static int refuse_sink(void *context)
{
    (void)context;
    return -EFBIG;
}

static char *copy_of(const char *text)
{
    return text ? must_strdup(text) : NULL;
}

static void note_road(struct token *token, const struct token_query *query)
{
    const struct exchange_road *road = &query->channel->road;
    free_road(token);
    token->road.ca_file = copy_of(road->ca_file);
    token->road.proxy = copy_of(road->proxy);
    snprintf(token->uri, sizeof token->uri, "%s", query->identity->account->token_uri);
}

/* The form with the assertion, in memory. Its length, or a negative errno. */
static int64_t make_body(struct token *token, const struct token_query *query)
{
    CLEANUP(buf_fini) struct buf form;
    buf_init(&form, SERVICE_ACCOUNT_BODY_MAX);
    bool is_signed = service_account_ask(query->identity->account, query->channel->auth_scope,
                                         clock_wall_ms() / 1000, &form);
    if (!is_signed || form.overflowed) {
        return -EKEYREJECTED;
    }
    token->body = memory_file_new("filmgate-token", form.data, form.length);
    return token->body < 0 ? token->body : (int64_t)form.length;
}

static int send_form(struct token *token, const struct token_query *query, int64_t bytes)
{
    static const struct exchange_header headers[] = {
        {"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}};
    const struct exchange_request request = {
        .method = "POST",
        .url = query->identity->account->token_uri,
        .headers = headers,
        .n_headers = ARRAY_LENGTH(headers),
        .body = token->body,
        .body_bytes = bytes,
        .sink = -1,
        .open_sink = refuse_sink,
        .memory_bytes = ANSWER_MAX,
        .max_bytes = ANSWER_MAX,
        .connect_ms = query->channel->connect_ms,
        .total_ms = TOKEN_EXCHANGE_MS,
        .road = &token->road,
        .done = on_answer,
        .context = token,
    };
    return exchange_send(token->tokens->exchanges, &request, &token->exchange);
}

static void fetch(struct token *token)
{
    const struct token_query *query = &TAILQ_FIRST(&token->waits)->query;
    note_road(token, query);
    int64_t bytes = make_body(token, query);
    int fault = bytes < 0 ? (int)bytes : send_form(token, query, bytes);
    if (fault == 0) {
        return;
    }
    end_exchange(token);
    if (fault == -EAGAIN) { /* too many exchanges are under way */
        look_soon(token, CROWDED_MS);
    } else if (fault == -EKEYREJECTED) {
        fail(token, true, 0, "the private key cannot sign");
    } else {
        fail(token, false, 0, strerror(-fault));
    }
}

static bool is_good(const struct token *token)
{
    return token->value && clock_mono_ms() < token->good_until_ms;
}

static void on_turn(struct loop_timer *timer)
{
    struct token *token = CONTAINER_OF(timer, struct token, turn);
    if (TAILQ_EMPTY(&token->waits) || token->exchange) {
        return; /* the exchange's end tells them */
    }
    if (is_good(token)) {
        tell(token, &(struct token_outcome){.is_granted = true, .note = "it is there"});
    } else if (clock_mono_ms() < token->rest_until_ms) {
        tell_failure(token);
    } else {
        fetch(token);
    }
}

/* ---- the door ---- */

const char *tokens_at_hand(struct tokens *tokens, const struct channel *channel,
                           const struct channel_credential *identity)
{
    const struct token *token = find(tokens, channel, identity);
    return token && is_good(token) ? token->value : NULL;
}

int tokens_wait(struct tokens *tokens, const struct token_query *query,
                struct token_wait **ret_wait)
{
    struct token *token = find(tokens, query->channel, query->identity);
    if (!token) {
        token = add(tokens, query->channel, query->identity);
    }
    if (token->n_waits >= TOKEN_WAITS_MAX) {
        return -EAGAIN;
    }
    struct token_wait *wait = must_calloc(1, sizeof *wait);
    *wait = (struct token_wait){.token = token, .query = *query, .round = token->round};
    TAILQ_INSERT_TAIL(&token->waits, wait, waits);
    token->n_waits++;
    look_soon(token, 0);
    *ret_wait = wait;
    return 0;
}

struct token_wait *token_wait_stop(struct token_wait *wait)
{
    if (wait) {
        forget(wait);
    }
    return NULL;
}

void tokens_note_refusal(struct tokens *tokens, const struct channel *channel,
                         const struct channel_credential *identity)
{
    struct token *token = find(tokens, channel, identity);
    int64_t now_ms = clock_mono_ms();
    bool is_again = token && token->was_dropped && now_ms - token->dropped_ms < TOKEN_KEPT_MS;
    if (token && token->value && !is_again) {
        drop_value(token);
        token->was_dropped = true;
        token->dropped_ms = now_ms;
    }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * A ticket's text is base64url of
 *
 *     version | until_ms | number (16 random bytes) | hash of the key | n | n ids of 16 bytes | HMAC-SHA-256 of all before
 *
 * Used numbers stand in a table of fixed size, each until its ticket expires; a look goes over a few neighbouring places. When
 * all of those are taken, a ticket is refused rather than one forgotten. */
#include "api/ticket.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/must.h"

enum {
    VERSION = 1,
    NUMBER_BYTES = 16,
    HEAD_BYTES = 1 + 8 + NUMBER_BYTES,
    PLAIN_MAX = HEAD_BYTES + TICKET_KEY_BYTES + 1 + 16 * TASK_IDS_MAX + CRYPT_SHA256_SIZE,
    NEIGHBOURS = 64,
};

struct used {
    int64_t until_ms; /* past: free */
    uint64_t owner;   /* the beginning of the key's hash */
    uint8_t number[NUMBER_BYTES];
};

struct ticket_office {
    uint8_t key[CRYPT_SHA256_SIZE];
    pthread_mutex_t lock; /* owns the table */
    struct used used[TICKET_USED_MAX];
};

struct ticket_office *ticket_office_new(const uint8_t *secret)
{
    static const char purpose[] = "ticket";
    struct ticket_office *office = must_calloc(1, sizeof(*office));
    uint8_t start[32 + sizeof(purpose)];
    crypt_random(start, 32);
    memcpy(start + 32, purpose, sizeof(purpose));
    crypt_hmac_sha256(secret, 32, start, sizeof(start), office->key);
    pthread_mutex_init(&office->lock, NULL);
    return office;
}

struct ticket_office *ticket_office_free(struct ticket_office *office)
{
    if (office == NULL)
        return NULL;
    pthread_mutex_destroy(&office->lock);
    free(office);
    return NULL;
}

/* ---- the text ---- */

static size_t put_ids(const struct ticket *ticket, uint8_t *out)
{
    size_t length = 0;
    out[length++] = (uint8_t)ticket->n_ids;
    for (size_t i = 0; i < ticket->n_ids; i++) {
        char prefix[ID_PREFIX_MAX + 1];
        struct uuid uuid;
        must(id_typeid_read(ticket->ids[i], prefix, &uuid));
        memcpy(out + length, uuid.bytes, sizeof(uuid.bytes));
        length += sizeof(uuid.bytes);
    }
    return length;
}

void ticket_write(const struct ticket_office *office, const struct ticket *ticket,
                  char ret_text[TICKET_TEXT_SIZE])
{
    uint8_t plain[PLAIN_MAX];
    size_t length = 0;
    must(ticket->n_ids <= TASK_IDS_MAX);
    plain[length++] = VERSION;
    memcpy(plain + length, &ticket->until_ms, 8);
    length += 8;
    crypt_random(plain + length, NUMBER_BYTES);
    length += NUMBER_BYTES;
    memcpy(plain + length, ticket->key, TICKET_KEY_BYTES);
    length += TICKET_KEY_BYTES;
    length += put_ids(ticket, plain + length);
    crypt_hmac_sha256(office->key, sizeof(office->key), plain, length, plain + length);
    length += CRYPT_SHA256_SIZE;
    must(codec_base64_length(length) < TICKET_TEXT_SIZE);
    codec_base64url_encode(plain, length, ret_text);
}

/* What is behind the head; `length` does not count the signature. */
static bool read_rest(const uint8_t *plain, size_t length, struct ticket *ret_ticket)
{
    size_t at = HEAD_BYTES;
    memcpy(ret_ticket->key, plain + at, TICKET_KEY_BYTES);
    at += TICKET_KEY_BYTES;
    size_t n_ids = plain[at++];
    if (n_ids > TASK_IDS_MAX || at + 16 * n_ids != length)
        return false;
    ret_ticket->n_ids = n_ids;
    for (size_t i = 0; i < n_ids; i++, at += 16) {
        struct uuid uuid;
        memcpy(uuid.bytes, plain + at, sizeof(uuid.bytes));
        id_typeid_write("task", &uuid, ret_ticket->ids[i], sizeof(ret_ticket->ids[i]));
    }
    return true;
}

/* Is it signed by us? */
static bool read_plain(const struct ticket_office *office, const char *text,
                       uint8_t plain[PLAIN_MAX + 3], size_t *ret_length)
{
    uint8_t mac[CRYPT_SHA256_SIZE];
    size_t length = strnlen(text, TICKET_TEXT_SIZE);
    if (length == TICKET_TEXT_SIZE || length / 4 * 3 > PLAIN_MAX ||
        !codec_base64_decode(text, length, plain, &length) ||
        length < HEAD_BYTES + TICKET_KEY_BYTES + 1 + CRYPT_SHA256_SIZE)
        return false;
    length -= CRYPT_SHA256_SIZE;
    crypt_hmac_sha256(office->key, sizeof(office->key), plain, length, mac);
    *ret_length = length;
    return crypt_is_equal(mac, plain + length, sizeof(mac)) && plain[0] == VERSION;
}

/* ---- once only ---- */

/* With the lock held. */
static size_t count_of(const struct ticket_office *office, uint64_t owner, int64_t now_ms)
{
    size_t count = 0;
    for (size_t i = 0; i < TICKET_USED_MAX; i++)
        count += office->used[i].owner == owner && office->used[i].until_ms > now_ms;
    return count;
}

/* With the lock held. */
static bool mark_used(struct ticket_office *office, const struct used *fresh, int64_t now_ms)
{
    struct used *place = NULL;
    uint32_t start;
    memcpy(&start, fresh->number, sizeof(start));
    for (uint32_t i = 0; i < NEIGHBOURS; i++) {
        struct used *used = &office->used[(start + i) % TICKET_USED_MAX];
        if (used->until_ms <= now_ms) {
            if (place == NULL)
                place = used;
        } else if (memcmp(used->number, fresh->number, NUMBER_BYTES) == 0) {
            return false;
        }
    }
    if (place == NULL || count_of(office, fresh->owner, now_ms) >= TICKET_USED_OF_KEY)
        return false;
    *place = *fresh;
    return true;
}

bool ticket_use(struct ticket_office *office, const char *text, int64_t now_ms,
                struct ticket *ret_ticket)
{
    uint8_t plain[PLAIN_MAX + 3];
    size_t length = 0;
    if (!read_plain(office, text, plain, &length))
        return false;
    memcpy(&ret_ticket->until_ms, plain + 1, 8);
    if (ret_ticket->until_ms <= now_ms || !read_rest(plain, length, ret_ticket))
        return false;
    struct used fresh = {.until_ms = ret_ticket->until_ms};
    memcpy(&fresh.owner, ret_ticket->key, sizeof(fresh.owner));
    memcpy(fresh.number, plain + 1 + 8, NUMBER_BYTES);
    pthread_mutex_lock(&office->lock);
    bool is_first = mark_used(office, &fresh, now_ms);
    pthread_mutex_unlock(&office->lock);
    return is_first;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * UUIDv7 and TypeID. Reading and writing are pure. id_new() keeps the one piece of state here,
 * under its mutex: the last identifier of this process, so that the next one sorts after it even
 * within a millisecond or when the wall clock steps back. The step between two such neighbours
 * is random, so that one does not give the other away. */
#include "base/id.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/must.h"

static const char BASE32[] = "0123456789abcdefghjkmnpqrstvwxyz";
static const char ALPHANUMERIC[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/* The random bits of a UUIDv7 as two numbers, rand_a and rand_b in RFC 9562. */
static const uint64_t HIGH_END = UINT64_C(1) << 12;
static const uint64_t LOW_END = UINT64_C(1) << 62;

struct last_id {
    pthread_mutex_t lock; /* owns the rest */
    int64_t unix_ms;
    uint64_t high;
    uint64_t low;
};

static struct last_id last_id = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct uuid id_uuid7(int64_t unix_ms, const uint8_t random[10])
{
    struct uuid uuid;
    for (int i = 0; i < 6; i++)
        uuid.bytes[i] = (uint8_t)((uint64_t)unix_ms >> (40 - 8 * i));
    memcpy(uuid.bytes + 6, random, 10);
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x70);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

void id_uuid_write(const struct uuid *uuid, char ret_text[ID_UUID_SIZE])
{
    size_t at = 0;
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            ret_text[at++] = '-';
        snprintf(ret_text + at, 3, "%02x", uuid->bytes[i]);
        at += 2;
    }
}

/* 26 characters carry 130 bits: two zero bits, then the 128 of the UUID. */
static void write_suffix(const struct uuid *uuid, char *text)
{
    unsigned held = 0;
    unsigned bits = 2;
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        held = (held << 8 | uuid->bytes[i]) & 0xffff;
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            *text++ = BASE32[held >> bits & 31];
        }
    }
    *text = '\0';
}

/* `text` holds 26 characters. The first one carries three bits, the others five each. */
static bool read_suffix(const char *text, struct uuid *ret_uuid)
{
    struct uuid uuid;
    size_t written = 0;
    unsigned held = 0;
    unsigned bits = 0;
    if (text[0] < '0' || text[0] > '7')
        return false;
    for (size_t i = 0; i < ID_SUFFIX_LENGTH; i++) {
        const char *found = memchr(BASE32, text[i], sizeof(BASE32) - 1);
        if (found == NULL)
            return false;
        held = (held << 5 | (unsigned)(found - BASE32)) & 0xffff;
        bits += i == 0 ? 3 : 5;
        if (bits >= 8) {
            bits -= 8;
            uuid.bytes[written++] = (uint8_t)(held >> bits);
        }
    }
    *ret_uuid = uuid;
    return true;
}

static bool is_prefix(const char *text, size_t length)
{
    if (length < 1 || length > ID_PREFIX_MAX || text[0] == '_' || text[length - 1] == '_')
        return false;
    for (size_t i = 0; i < length; i++) {
        if ((text[i] < 'a' || text[i] > 'z') && text[i] != '_')
            return false;
    }
    return true;
}

void id_typeid_write(const char *prefix, const struct uuid *uuid, char *ret_text, size_t size)
{
    size_t length = strlen(prefix);
    must(length == 0 || is_prefix(prefix, length));
    must(size > length + (length > 0) + ID_SUFFIX_LENGTH);
    int written = snprintf(ret_text, size, "%s%s", prefix, length > 0 ? "_" : "");
    write_suffix(uuid, ret_text + written);
}

bool id_typeid_read(const char *text, char *ret_prefix, struct uuid *ret_uuid)
{
    size_t length = strnlen(text, ID_TYPEID_SIZE);
    if (length < ID_SUFFIX_LENGTH || length >= ID_TYPEID_SIZE)
        return false;
    size_t prefix_length = length - ID_SUFFIX_LENGTH;
    if (prefix_length > 0) {
        prefix_length--; /* the separator is the last underscore */
        if (text[prefix_length] != '_' || !is_prefix(text, prefix_length))
            return false;
    }
    if (!read_suffix(text + length - ID_SUFFIX_LENGTH, ret_uuid))
        return false;
    memcpy(ret_prefix, text, prefix_length);
    ret_prefix[prefix_length] = '\0';
    return true;
}

bool id_is_typeid(const char *text, const char *prefix)
{
    char found[ID_PREFIX_MAX + 1];
    struct uuid uuid;
    return id_typeid_read(text, found, &uuid) && strcmp(found, prefix) == 0;
}

static uint64_t load_be(const uint8_t *bytes, size_t length)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void store_be(uint8_t *bytes, size_t length, uint64_t value)
{
    for (size_t i = length; i > 0; i--) {
        bytes[i - 1] = (uint8_t)value;
        value >>= 8;
    }
}

/* Moves on to the next identifier. Called with the lock held. */
static void advance(struct last_id *last, int64_t now_ms, const uint8_t random[10])
{
    if (now_ms <= last->unix_ms) {
        last->low += 1 + load_be(random, 4);
        if (last->low < LOW_END)
            return;
        last->low -= LOW_END;
        if (++last->high < HIGH_END)
            return;
        now_ms = last->unix_ms + 1; /* the millisecond is used up */
    }
    last->unix_ms = now_ms;
    last->high = load_be(random, 2) % HIGH_END;
    last->low = load_be(random + 2, 8) % LOW_END;
}

void id_new(const char *prefix, char *ret_text, size_t size)
{
    uint8_t random[10];
    crypt_random(random, sizeof(random));

    pthread_mutex_lock(&last_id.lock);
    advance(&last_id, clock_wall_ms(), random);
    int64_t unix_ms = last_id.unix_ms;
    store_be(random, 2, last_id.high);
    store_be(random + 2, 8, last_id.low);
    pthread_mutex_unlock(&last_id.lock);

    struct uuid uuid = id_uuid7(unix_ms, random);
    id_typeid_write(prefix, &uuid, ret_text, size);
}

/* A stream of blocks HMAC(HMAC(secret, label), counter), of which each byte below the greatest
 * multiple of 62 gives a character; the others are passed over, so that all are equally likely. */
void id_opaque(const uint8_t secret[32], const char *label, char *ret_text, size_t length)
{
    enum { KINDS = sizeof(ALPHANUMERIC) - 1, FAIR_END = 256 / KINDS * KINDS };
    uint8_t key[CRYPT_SHA256_SIZE];
    uint8_t block[CRYPT_SHA256_SIZE];
    crypt_hmac_sha256(secret, 32, label, strlen(label), key);
    size_t written = 0;
    for (uint64_t counter = 0; written < length; counter++) {
        uint8_t number[8];
        store_be(number, sizeof(number), counter);
        crypt_hmac_sha256(key, sizeof(key), number, sizeof(number), block);
        for (size_t i = 0; i < sizeof(block) && written < length; i++) {
            if (block[i] < FAIR_END)
                ret_text[written++] = ALPHANUMERIC[block[i] % KINDS];
        }
    }
    ret_text[length] = '\0';
}

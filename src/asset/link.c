/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed links. What is signed is, joined by newlines: a name of this scheme, the asset's key,
 * st, se, sr, sp, and rscd or nothing. No field but the last can hold a newline (link_check()
 * refuses such), so two different links never sign the same text. Times are compared as they
 * were signed and have one spelling only. Pure; any thread. */
#include "asset/link.h"

#include <string.h>

#include "asset/asset.h"
#include "asset/disposition.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/must.h"

enum {
    LINK_MAX_BYTES = 16 * 1024,
    SIGNATURE_SIZE = 45, /* base64 of 32 bytes, and NUL */
    STEPS_PER_LIFE = 4,
    LONGEST_STEP_S = 24 * 3600,
};

static const char scheme_name[] = "filmgate-link-v1";
static const char resource_blob[] = "b";
static const char permission_read[] = "r";

void link_window(int64_t now_ms, int64_t valid_for_ms, int64_t *ret_st_s, int64_t *ret_se_s)
{
    must(now_ms >= 0 && valid_for_ms > 0);
    int64_t valid_s = valid_for_ms / 1000;
    int64_t step_s = valid_s / STEPS_PER_LIFE;
    if (step_s > LONGEST_STEP_S)
        step_s = LONGEST_STEP_S;
    if (step_s < 1)
        step_s = 1;
    int64_t begin_s = now_ms / 1000 / step_s * step_s;
    *ret_st_s = begin_s > LINK_LEAD_S ? begin_s - LINK_LEAD_S : 0;
    *ret_se_s = begin_s + valid_s;
}

static void sign(const struct link_key *key, const char *asset_key,
                 const struct link_parameters *signed_ones, char ret_signature[SIGNATURE_SIZE])
{
    struct buf text;
    buf_init(&text, LINK_MAX_BYTES);
    buf_printf(&text, "%s\n%s\n%s\n%s\n%s\n%s\n", scheme_name, asset_key, signed_ones->st,
               signed_ones->se, signed_ones->sr, signed_ones->sp);
    buf_puts(&text, signed_ones->rscd != NULL ? signed_ones->rscd : "");
    must(!text.overflowed);
    uint8_t mac[CRYPT_SHA256_SIZE];
    crypt_hmac_sha256(key->bytes, sizeof(key->bytes), buf_text(&text), text.length, mac);
    codec_base64_encode(mac, sizeof(mac), ret_signature);
    buf_fini(&text);
}

static void add_parameter(struct buf *link, const char *name, const char *value)
{
    buf_puts(link, name);
    buf_percent_encode(link, value, "");
}

char *link_sign(const struct link_key *key, const char *base, const char *asset_key, int64_t st_s,
                int64_t se_s, const char *attachment)
{
    must(asset_is_key(asset_key));
    char st[CLOCK_ISO_SECONDS_SIZE];
    char se[CLOCK_ISO_SECONDS_SIZE];
    char signature[SIGNATURE_SIZE];
    CLEANUP(free_pointer)
    char *rscd = attachment != NULL ? disposition_attachment(attachment) : NULL;
    clock_iso_seconds(st_s, st);
    clock_iso_seconds(se_s, se);
    struct link_parameters parameters = {
        .st = st, .se = se, .sr = resource_blob, .sp = permission_read, .rscd = rscd};
    sign(key, asset_key, &parameters, signature);

    struct buf link;
    buf_init(&link, LINK_MAX_BYTES);
    buf_printf(&link, "%s/assets/%s", base, asset_key);
    add_parameter(&link, "?st=", st);
    add_parameter(&link, "&se=", se);
    add_parameter(&link, "&sr=", resource_blob);
    add_parameter(&link, "&sp=", permission_read);
    if (rscd != NULL)
        add_parameter(&link, "&rscd=", rscd);
    add_parameter(&link, "&sig=", signature);
    must(!link.overflowed);
    return buf_take(&link);
}

void link_signer_init(struct link_signer *signer, const struct link_key *key, const char *base,
                      int64_t now_ms, int64_t valid_for_ms)
{
    *signer = (struct link_signer){.key = key, .base = base};
    link_window(now_ms, valid_for_ms, &signer->st_s, &signer->se_s);
}

char *link_signer_sign(void *signer, const char *asset_key, const char *attachment)
{
    struct link_signer *self = signer;
    self->is_used = true;
    return link_sign(self->key, self->base, asset_key, self->st_s, self->se_s, attachment);
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    }
    return false;
}

static bool is_well_formed(const char *asset_key, const struct link_parameters *parameters)
{
    if (parameters->st == NULL || parameters->se == NULL || parameters->sr == NULL ||
        parameters->sp == NULL || parameters->sig == NULL)
        return false;
    if (strcmp(parameters->sr, resource_blob) != 0 || strcmp(parameters->sp, permission_read) != 0)
        return false;
    const char *rscd = parameters->rscd;
    /* An empty one would sign like none at all. */
    if (rscd != NULL && (rscd[0] == '\0' || strlen(rscd) > LINK_MAX_BYTES / 2 || has_control(rscd)))
        return false;
    return asset_is_key(asset_key);
}

static bool has_signature_of(const struct link_key *key, const char *asset_key,
                             const struct link_parameters *parameters)
{
    char expected[SIGNATURE_SIZE];
    sign(key, asset_key, parameters, expected);
    return strlen(parameters->sig) == SIGNATURE_SIZE - 1 &&
           crypt_is_equal(expected, parameters->sig, SIGNATURE_SIZE - 1);
}

/* Both keys are always tried. */
static bool is_signed(const struct link_keys *keys, const char *asset_key,
                      const struct link_parameters *parameters, int64_t se_s)
{
    bool is_of_current = has_signature_of(&keys->current, asset_key, parameters);
    bool is_of_previous = has_signature_of(&keys->previous, asset_key, parameters);
    bool has_previous = keys->previous_until_s > 0;
    return is_of_current || (is_of_previous && has_previous && se_s <= keys->previous_until_s);
}

enum link_verdict link_check(const struct link_keys *keys, const char *asset_key,
                             const struct link_parameters *parameters, int64_t now_ms)
{
    int64_t st_s;
    int64_t se_s;
    if (!is_well_formed(asset_key, parameters) || !clock_parse_iso_seconds(parameters->st, &st_s) ||
        !clock_parse_iso_seconds(parameters->se, &se_s))
        return LINK_MALFORMED;
    if (!is_signed(keys, asset_key, parameters, se_s))
        return LINK_TAMPERED;
    if (now_ms / 1000 < st_s)
        return LINK_NOT_YET;
    return now_ms / 1000 < se_s ? LINK_OK : LINK_EXPIRED;
}

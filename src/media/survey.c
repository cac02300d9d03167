/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks at fonts and codecs by using them: a font counts when it has a glyph for a text of the
 * script, a codec when it opens. Single-threaded, in the helper. */
#include "media/survey.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <pango/pangocairo.h>
#include <stdbool.h>
#include <stdio.h>
#include <webp/decode.h>

#include "base/json.h"
#include "base/must.h"
#include "media/typeset.h"

enum { SIDE = 64, FRAME = 1000, VERSION_SIZE = 300 };

/* ---- fonts ---- */

static const struct {
    const char *script;
    const char *text;
} SCRIPTS[] = {
    {"Latin", "Ag"},
    {"CJK", "\xe7\x8c\xab\xe3\x81\xae\xea\xb3\xa0"}, /* Han, kana, Hangul */
    {"Arabic", "\xd9\x82\xd8\xb7"},
    {"emoji", "\xf0\x9f\x8e\xac"},
};

/* A glyph that is not there is drawn as a box. */
static bool has_glyphs(const PangoGlyphString *glyphs)
{
    for (int i = 0; i < glyphs->num_glyphs; i++)
        if (glyphs->glyphs[i].glyph & PANGO_GLYPH_UNKNOWN_FLAG)
            return false;
    return true;
}

/* The family of the first run, or NULL when any character has no glyph. g_malloc'ed. */
static char *find_family(PangoLayout *layout)
{
    char *family = NULL;
    PangoLayoutLine *line = pango_layout_get_line_readonly(layout, 0);
    for (GSList *at = line ? line->runs : NULL; at; at = at->next) {
        const PangoLayoutRun *run = at->data;
        PangoFont *font = run->item->analysis.font;
        if (!font || !has_glyphs(run->glyphs)) {
            g_free(family);
            return NULL;
        }
        PangoFontDescription *description = pango_font_describe(font);
        if (!family)
            family = g_strdup(pango_font_description_get_family(description));
        pango_font_description_free(description);
    }
    return family;
}

json_t *survey_fonts(void)
{
    json_t *fonts = json_array();
    must(fonts);
    for (size_t i = 0; i < ARRAY_LENGTH(SCRIPTS); i++) {
        struct typeset typeset;
        char *family = NULL;
        if (typeset_init(&typeset, SCRIPTS[i].text, CAPTION_TITLE, FRAME, FRAME)) {
            family = find_family(typeset.layout);
            typeset_fini(&typeset);
        }
        json_t *row = json_object();
        must(row);
        json_set_text(row, "script", SCRIPTS[i].script);
        json_set_text(row, "family", family);
        json_add(fonts, row);
        g_free(family);
    }
    return fonts;
}

/* ---- codecs ---- */

static bool opens(const AVCodec *codec, enum AVPixelFormat format)
{
    AVCodecContext *context = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!context)
        return false;
    context->thread_count = 1;
    if (av_codec_is_encoder(codec)) {
        context->width = context->height = SIDE;
        context->pix_fmt = format;
        context->time_base = (AVRational){1, 30};
    }
    int error = avcodec_open2(context, codec, NULL);
    avcodec_free_context(&context);
    return error >= 0;
}

static void add_codec(json_t *codecs, const char *name, bool is_there)
{
    json_t *row = json_object();
    must(row);
    json_set_text(row, "name", name);
    json_set(row, "is_there", json_boolean(is_there));
    json_add(codecs, row);
}

json_t *survey_codecs(void)
{
    static const struct {
        const char *name;
        enum AVCodecID id;
    } decoders[] = {
        {"H.264", AV_CODEC_ID_H264},
        {"PNG", AV_CODEC_ID_PNG},
        {"JPEG", AV_CODEC_ID_MJPEG},
        {"GIF", AV_CODEC_ID_GIF},
    };
    json_t *codecs = json_array();
    must(codecs);
    add_codec(codecs, "libx264 encoder",
              opens(avcodec_find_encoder_by_name("libx264"), AV_PIX_FMT_YUV420P));
    add_codec(codecs, "GIF encoder", opens(avcodec_find_encoder(AV_CODEC_ID_GIF), AV_PIX_FMT_PAL8));
    add_codec(codecs, "JPEG encoder",
              opens(avcodec_find_encoder(AV_CODEC_ID_MJPEG), AV_PIX_FMT_YUVJ420P));
    for (size_t i = 0; i < ARRAY_LENGTH(decoders); i++)
        add_codec(codecs, decoders[i].name,
                  opens(avcodec_find_decoder(decoders[i].id), AV_PIX_FMT_NONE));
    return codecs;
}

json_t *survey_libraries(void)
{
    char text[VERSION_SIZE];
    unsigned codec = avcodec_version(), format = avformat_version();
    int webp = WebPGetDecoderVersion();
    (void)snprintf(text, sizeof text,
                   "libavcodec %u.%u.%u, libavformat %u.%u.%u, libwebp %d.%d.%d, Pango %s",
                   AV_VERSION_MAJOR(codec), AV_VERSION_MINOR(codec), AV_VERSION_MICRO(codec),
                   AV_VERSION_MAJOR(format), AV_VERSION_MINOR(format), AV_VERSION_MICRO(format),
                   webp >> 16, webp >> 8 & 0xff, webp & 0xff, pango_version_string());
    json_t *libraries = json_string(text);
    must(libraries);
    return libraries;
}

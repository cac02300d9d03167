/* SPDX-License-Identifier: Apache-2.0
 *
 * From any text to a Pango layout:
 *
 *     text -> clean UTF-8 -> the largest type that fits (fit) -> lines of even length (balance)
 *
 * A text that fits at no size is set in the smallest, and ends in an ellipsis. Text is data: it is
 * never parsed for markup. Every layout has a font map of its own, so nothing stays behind.
 * Single-threaded, in the helper. */
#include "media/typeset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

enum {
    TEXT_BYTES_MAX = 8192, /* of a caption, more is cut: no type is so small that it would show */
    TYPE_PX_MIN = 13,
    SUBTITLE_LINES = 3,
    TITLE_LINES = 8,
    TITLE_PARAGRAPHS = 8,
    OUTLINE_FRAME = 4096, /* side of the frame that an outline is taken for: any is scaled down */
};

struct typeset_outline {
    cairo_path_t *path;
    struct typeset_box box;
    double type_px;
};

/* ---- looks ---- */

struct look {
    double type_height;  /* largest type, as a share of the frame's height … */
    double type_width;   /* … and of its width; the smaller counts */
    double least;        /* smallest type, as a share of the largest */
    double line_em;      /* no line is longer than this many times the type's size */
    int lines;           /* at most, even when the type is smallest */
    int lines_wanted;    /* smaller type is tried before there are more */
    double block_height; /* at most, as a share of the frame's height */
    PangoWeight weight;
    double leading_em; /* added between lines */
    struct typeset_ink ink;
};

static const struct look LOOKS[] = {
    [CAPTION_SUBTITLE] = {.type_height = 1 / 28.0,
                          .type_width = 1 / 16.0,
                          .least = 0.74,
                          .line_em = 34,
                          .lines = SUBTITLE_LINES,
                          .lines_wanted = SUBTITLE_LINES,
                          .block_height = 0.4,
                          .weight = PANGO_WEIGHT_MEDIUM,
                          .leading_em = -0.10,
                          .ink = {.text = 1, .shadow = 0.5, .plate = 0.48}},
    [CAPTION_TITLE] = {.type_height = 1 / 9.0,
                       .type_width = 1 / 8.0,
                       .least = 0.34,
                       .line_em = 30,
                       .lines = TITLE_LINES,
                       .lines_wanted = 5,
                       .block_height = 0.6,
                       .weight = PANGO_WEIGHT_BOLD,
                       .leading_em = -0.12,
                       .ink = {.text = 1, .shadow = 0.55}},
    [CAPTION_MARK] = {.type_height = 1 / 26.0,
                      .type_width = 1 / 16.0,
                      .least = 0.74,
                      .line_em = 20,
                      .lines = 1,
                      .lines_wanted = 1,
                      .block_height = 0.2,
                      .weight = PANGO_WEIGHT_BOLD,
                      .leading_em = 0,
                      .ink = {.text = 0.62, .shadow = 0.45}},
};

/* ---- text ---- */

static const char *next_char(const char *at)
{
    return at + g_utf8_skip[(guchar)*at];
}

static bool is_break(gunichar c)
{
    return c == '\n' || c == 0x2028 || c == 0x2029 || c == 0x85;
}

/* Well-formed text without controls, with single spaces and at most `paragraphs` paragraphs, none
 * of them empty. g_malloc'ed. */
static char *clean_text(const char *text, int paragraphs)
{
    char *valid = g_utf8_make_valid(text, (gssize)strnlen(text, TEXT_BYTES_MAX));
    GString *clean = g_string_new(NULL);
    bool space = false, line = false;

    for (const char *at = valid; *at != '\0'; at = next_char(at)) {
        const gunichar c = g_utf8_get_char(at);

        if (is_break(c) || g_unichar_isspace(c) || g_unichar_iscntrl(c)) {
            space = true;
            line = line || is_break(c);
            continue;
        }
        if (space && clean->len > 0 && line && paragraphs > 1) {
            g_string_append_c(clean, '\n');
            paragraphs--;
        } else if (space && clean->len > 0) {
            g_string_append_c(clean, ' ');
        }
        space = line = false;
        g_string_append_unichar(clean, c);
    }
    g_free(valid);
    return g_string_free(clean, FALSE);
}

static bool shows_something(const char *text)
{
    for (const char *at = text; *at != '\0'; at = next_char(at)) {
        const gunichar c = g_utf8_get_char(at);

        if (g_unichar_isgraph(c) && !g_unichar_iszerowidth(c))
            return true;
    }
    return false;
}

/* First wishes; fontconfig finds other fonts for what these lack. Han characters look different in
 * each country; the kana or hangul around them tell which. g_malloc'ed. */
static char *families(const char *text)
{
    const char *region = "SC";

    for (const char *at = text; *at != '\0'; at = next_char(at)) {
        const gunichar c = g_utf8_get_char(at);

        if (c >= 0x3041 && c <= 0x30ff)
            region = "JP";
        else if (c >= 0xac00 && c <= 0xd7a3)
            region = "KR";
    }
    return g_strdup_printf("Noto Sans,Noto Sans Arabic,Noto Sans Hebrew,Noto Sans Thai,"
                           "Noto Sans CJK %s,sans-serif",
                           region);
}

/* ---- layout ---- */

static PangoLayout *new_layout(const char *text)
{
    PangoFontMap *fonts = pango_cairo_font_map_new();
    PangoContext *context = pango_font_map_create_context(fonts);
    cairo_font_options_t *options = cairo_font_options_create();
    PangoAttrList *attributes = pango_attr_list_new();
    PangoLayout *layout;

    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    pango_cairo_context_set_font_options(context, options);
    cairo_font_options_destroy(options);
    pango_context_set_round_glyph_positions(context, FALSE);
    layout = pango_layout_new(context);
    g_object_unref(context);
    g_object_unref(fonts);
    pango_layout_set_text(layout, text, -1);
    pango_layout_set_alignment(layout, PANGO_ALIGN_CENTER);
    /* A word that is broken because it is too long gets no hyphen: the text is not ours. */
    pango_attr_list_insert(attributes, pango_attr_insert_hyphens_new(FALSE));
    pango_layout_set_attributes(layout, attributes);
    pango_attr_list_unref(attributes);
    return layout;
}

static double text_width(const struct typeset *typeset)
{
    const double plate = typeset->look->ink.plate > 0 ? 1.4 * typeset->type_px : 0;

    return fmin(typeset->width * (1 - 2 * TYPESET_SAFE_MARGIN) - plate,
                typeset->look->line_em * typeset->type_px);
}

static void set_type(struct typeset *typeset, double type_px)
{
    typeset->type_px = type_px;
    pango_font_description_set_absolute_size(typeset->font, type_px * PANGO_SCALE);
    pango_layout_set_font_description(typeset->layout, typeset->font);
    pango_layout_set_spacing(typeset->layout,
                             (int)(typeset->look->leading_em * type_px * PANGO_SCALE));
    pango_layout_set_width(typeset->layout,
                           (int)(fmax(text_width(typeset), type_px) * PANGO_SCALE));
}

/* Does the whole text fit at this size, in few lines and without breaking a word? */
static bool fits_whole(struct typeset *typeset, double type_px)
{
    int width = 0, height = 0;

    set_type(typeset, type_px);
    pango_layout_set_ellipsize(typeset->layout, PANGO_ELLIPSIZE_NONE);
    pango_layout_set_wrap(typeset->layout, PANGO_WRAP_WORD);
    pango_layout_get_size(typeset->layout, &width, &height);
    return width <= pango_layout_get_width(typeset->layout) &&
           pango_layout_get_line_count(typeset->layout) <= typeset->look->lines_wanted &&
           height <= typeset->look->block_height * typeset->height * PANGO_SCALE;
}

/* The narrowest width that needs no more lines: lines become even, none is left with one word. */
static void balance(struct typeset *typeset)
{
    const int lines = pango_layout_get_line_count(typeset->layout);
    int wide = pango_layout_get_width(typeset->layout);
    int narrow = wide / 2;

    if (lines < 2)
        return;
    while (wide - narrow > PANGO_SCALE) {
        const int middle = narrow + (wide - narrow) / 2;
        int width = 0, height = 0;

        pango_layout_set_width(typeset->layout, middle);
        pango_layout_get_size(typeset->layout, &width, &height);
        if (width <= middle && pango_layout_get_line_count(typeset->layout) <= lines)
            wide = middle;
        else
            narrow = middle;
    }
    pango_layout_set_width(typeset->layout, wide);
}

/* For text that is too long for any type: the smallest, words broken where they must be, one
 * paragraph, and an ellipsis after the last line that has room. */
static void fit_cut(struct typeset *typeset, double type_px)
{
    char *flat = g_strdelimit(g_strdup(pango_layout_get_text(typeset->layout)), "\n", ' ');

    pango_layout_set_text(typeset->layout, flat, -1);
    g_free(flat);
    set_type(typeset, type_px);
    pango_layout_set_wrap(typeset->layout, PANGO_WRAP_WORD_CHAR);
    pango_layout_set_ellipsize(typeset->layout, PANGO_ELLIPSIZE_END);
    pango_layout_set_height(typeset->layout, -typeset->look->lines);
}

static double largest_type(const struct look *look, int width, int height)
{
    return fmax(fmin(height * look->type_height, width * look->type_width), TYPE_PX_MIN);
}

static void fit(struct typeset *typeset)
{
    const struct look *look = typeset->look;
    const double largest = largest_type(look, typeset->width, typeset->height);
    const double least = fmax(largest * look->least, TYPE_PX_MIN);
    double type_px = largest;

    while (type_px >= least) {
        if (fits_whole(typeset, type_px)) {
            balance(typeset);
            return;
        }
        type_px *= 0.94;
    }
    fit_cut(typeset, least);
}

bool typeset_init(struct typeset *typeset, const char *text, enum caption_style style, int width,
                  int height)
{
    char *clean = clean_text(text, style == CAPTION_TITLE ? TITLE_PARAGRAPHS : 1);
    const bool shows = shows_something(clean);

    if (shows) {
        char *wanted = families(clean);

        *typeset = (struct typeset){
            .look = &LOOKS[style],
            .width = width,
            .height = height,
            .layout = new_layout(clean),
            .font = pango_font_description_new(),
        };
        pango_font_description_set_family(typeset->font, wanted);
        pango_font_description_set_weight(typeset->font, typeset->look->weight);
        fit(typeset);
        g_free(wanted);
    }
    g_free(clean);
    return shows;
}

void typeset_fini(struct typeset *typeset)
{
    pango_font_description_free(typeset->font);
    if (typeset->layout != NULL)
        g_object_unref(typeset->layout);
    *typeset = (struct typeset){0};
}

/* ---- drawing ---- */

/* How much smaller than its outline the text is set. */
static double outline_scale(const struct typeset *typeset)
{
    return typeset->type_px / typeset->outline->type_px;
}

struct typeset_box typeset_box(const struct typeset *typeset)
{
    PangoRectangle logical;

    if (typeset->outline != NULL) {
        const struct typeset_box *box = &typeset->outline->box;
        const double scale = outline_scale(typeset);

        return (struct typeset_box){box->x * scale, box->y * scale, box->width * scale,
                                    box->height * scale};
    }
    pango_layout_get_extents(typeset->layout, NULL, &logical);
    return (struct typeset_box){
        .x = (double)logical.x / PANGO_SCALE,
        .y = (double)logical.y / PANGO_SCALE,
        .width = (double)logical.width / PANGO_SCALE,
        .height = (double)logical.height / PANGO_SCALE,
    };
}

void typeset_show(const struct typeset *typeset, cairo_t *cairo)
{
    double x = 0, y = 0;

    if (typeset->outline == NULL) {
        pango_cairo_show_layout(cairo, typeset->layout);
        return;
    }
    cairo_get_current_point(cairo, &x, &y);
    cairo_save(cairo);
    cairo_new_path(cairo);
    cairo_translate(cairo, x, y);
    cairo_scale(cairo, outline_scale(typeset), outline_scale(typeset));
    cairo_append_path(cairo, typeset->outline->path);
    cairo_restore(cairo);
    cairo_fill(cairo);
}

struct typeset_ink typeset_ink(const struct typeset *typeset)
{
    return typeset->look->ink;
}

/* ---- outlines ---- */

static cairo_path_t *take_path(PangoLayout *layout)
{
    /* Without bounds: Cairo leaves out of a path the glyphs that would not show. */
    cairo_surface_t *surface = cairo_recording_surface_create(CAIRO_CONTENT_ALPHA, NULL);
    cairo_t *cairo = cairo_create(surface);
    cairo_path_t *path;

    pango_cairo_layout_path(cairo, layout);
    path = cairo_copy_path(cairo);
    must(path->status == CAIRO_STATUS_SUCCESS);
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
    return path;
}

struct typeset_outline *typeset_outline_new(const char *text)
{
    struct typeset_outline *outline;
    struct typeset typeset;

    if (!typeset_init(&typeset, text, CAPTION_MARK, OUTLINE_FRAME, OUTLINE_FRAME))
        return NULL;
    outline = must_calloc(1, sizeof *outline);
    outline->path = take_path(typeset.layout);
    outline->box = typeset_box(&typeset);
    outline->type_px = typeset.type_px;
    typeset_fini(&typeset);
    return outline;
}

struct typeset_outline *typeset_outline_free(struct typeset_outline *outline)
{
    if (outline == NULL)
        return NULL;
    cairo_path_destroy(outline->path);
    free(outline);
    return NULL;
}

void typeset_init_outlined(struct typeset *typeset, const struct typeset_outline *outline,
                           int width, int height)
{
    const struct look *look = &LOOKS[CAPTION_MARK];
    const double room = width * (1 - 2 * TYPESET_SAFE_MARGIN);

    *typeset = (struct typeset){
        .look = look,
        .outline = outline,
        .width = width,
        .height = height,
        .type_px =
            fmin(largest_type(look, width, height), outline->type_px * room / outline->box.width),
    };
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The animatic renderer from request to mp4, and the captions in it: how many frames, which image
 * when, the same bytes for the same request, text of every kind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <libavutil/log.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "media/animatic.h"
#include "media/backdrop.h"
#include "media/caption.h"
#include "media/codec.h"
#include "media_sample.h"

/* fontconfig keeps a pattern until the process ends; read by the leak sanitizer alone. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig";
}

enum { WIDTH = 128, HEIGHT = 224 };

/* ---- helpers ---- */

static int coloured_image(size_t i)
{
    const uint8_t *colour = SAMPLE_COLOURS[i % 4];
    /* Wide, tall and square ones. */
    const int width = i % 3 == 0 ? 200 : 90, height = i % 3 == 1 ? 200 : 90;

    return sample_file(AV_CODEC_ID_PNG,
                       sample_plain(width, height, colour[0], colour[1], colour[2]), 0);
}

/* As the helper does it. */
static enum media_end film(const struct media_animatic *animatic, void (*report)(int), char *note)
{
    struct caption *caption = animatic_caption(animatic);
    const enum media_end end = animatic_render(animatic, caption, report, note);

    caption = caption_free(caption);
    return end;
}

struct request {
    const char *prompt;
    int64_t seed;
    int n_frames;
    size_t n_images;
};

static int render(const struct request *request)
{
    int images[32];
    char note[200] = "?";
    struct media_animatic animatic = {
        .prompt = request->prompt,
        .seed = request->seed,
        .width = WIDTH,
        .height = HEIGHT,
        .n_frames = request->n_frames,
        .images = images,
        .n_images = request->n_images,
        .output = sample_memory("", 0),
    };

    for (size_t i = 0; i < request->n_images; i++)
        images[i] = coloured_image(i);
    assert_int_equal(film(&animatic, NULL, note), MEDIA_DONE);
    assert_string_equal(note, "");
    for (size_t i = 0; i < request->n_images; i++)
        close(images[i]);
    return animatic.output;
}

struct pixel {
    int y, u, v;
};

static struct pixel pixel_at(const AVFrame *frame, int x, int y)
{
    return (struct pixel){
        frame->data[0][y * frame->linesize[0] + x],
        frame->data[1][y / 2 * frame->linesize[1] + x / 2],
        frame->data[2][y / 2 * frame->linesize[2] + x / 2],
    };
}

/* Counts the frames; takes the middle pixel of frame `wanted`. */
static int count_frames(int fd, int wanted, struct pixel *ret_pixel)
{
    struct codec_reader *reader = NULL;
    AVFrame *frame = NULL;
    int n = 0, r;

    assert_int_equal(codec_reader_open(fd, &reader), 0);
    while ((r = codec_reader_next(reader, NULL, NULL, &frame)) == 1) {
        assert_int_equal(frame->width, WIDTH);
        assert_int_equal(frame->height, HEIGHT);
        assert_int_equal(frame->format, AV_PIX_FMT_YUV420P);
        assert_int_equal(frame->colorspace, AVCOL_SPC_BT709);
        if (n++ == wanted)
            *ret_pixel = pixel_at(frame, WIDTH / 2, HEIGHT / 2);
    }
    assert_int_equal(r, 0);
    reader = codec_reader_free(reader);
    return n;
}

static bool same_bytes(int a, int b)
{
    struct stat of_a, of_b;
    void *bytes_a, *bytes_b;
    bool same;

    must(fstat(a, &of_a) == 0 && fstat(b, &of_b) == 0);
    assert_true(of_a.st_size > 1000);
    if (of_a.st_size != of_b.st_size)
        return false;
    bytes_a = mmap(NULL, (size_t)of_a.st_size, PROT_READ, MAP_SHARED, a, 0);
    bytes_b = mmap(NULL, (size_t)of_a.st_size, PROT_READ, MAP_SHARED, b, 0);
    must(bytes_a != MAP_FAILED && bytes_b != MAP_FAILED);
    same = memcmp(bytes_a, bytes_b, (size_t)of_a.st_size) == 0;
    munmap(bytes_a, (size_t)of_a.st_size);
    munmap(bytes_b, (size_t)of_a.st_size);
    return same;
}

/* ---- films ---- */

static void as_many_frames_as_asked_for(void **state)
{
    static const struct request requests[] = {
        {"a quiet harbour", 1, 30, 0},  {"a quiet harbour", 1, 1, 0},  {"", 1, 7, 0},
        {"a quiet harbour", 1, 31, 1},  {"a quiet harbour", 1, 1, 1},  {"", 1, 45, 2},
        {"a quiet harbour", 1, 90, 10}, {"a quiet harbour", 1, 3, 10}, {"", 1, 40, 32},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        struct pixel unused = {0};
        int fd = render(&requests[i]);

        assert_int_equal(count_frames(fd, -1, &unused), requests[i].n_frames);
        close(fd);
    }
}

static void same_request_same_bytes(void **state)
{
    static const struct request requests[] = {{"a quiet harbour", 5, 40, 0},
                                              {"a quiet harbour", 5, 40, 3}};
    static const struct request others[] = {{"a loud harbour", 5, 40, 0},
                                            {"a quiet harbour", 6, 40, 0},
                                            {"a quiet harbour", -5, 40, 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        int once = render(&requests[i]), twice = render(&requests[i]);

        assert_true(same_bytes(once, twice));
        close(twice);
        for (size_t j = 0; j < ARRAY_LENGTH(others); j++) {
            struct request other = others[j];

            other.n_images = requests[i].n_images;
            twice = render(&other);
            /* With plain images motion cannot be seen: there only the other prompt shows. */
            if (i == 0 || j == 0)
                assert_false(same_bytes(once, twice));
            close(twice);
        }
        close(once);
    }
}

/* In the middle of its share an image is alone; on the border two are half and half. */
static void images_take_turns(void **state)
{
    static const struct pixel colours[4] = {
        {63, 102, 240}, {173, 42, 26}, {32, 240, 118}, {235, 128, 128}};
    static const size_t counts[] = {1, 2, 3, 10};
    enum { FRAMES = 120 };

    (void)state;
    for (size_t c = 0; c < ARRAY_LENGTH(counts); c++) {
        const size_t n = counts[c];
        int fd = render(&(struct request){"", 9, FRAMES, n});

        for (size_t i = 0; i < n; i++) {
            struct pixel pixel = {0};

            (void)count_frames(fd, (int)((2 * i + 1) * FRAMES / (2 * n)), &pixel);
            assert_true(abs(pixel.y - colours[i % 4].y) <= 3);
            assert_true(abs(pixel.u - colours[i % 4].u) <= 3);
            assert_true(abs(pixel.v - colours[i % 4].v) <= 3);
        }
        if (n == 2) {
            struct pixel pixel = {0};

            (void)count_frames(fd, FRAMES / 2, &pixel);
            assert_true(pixel.y > 63 + 30 && pixel.y < 173 - 30);
            (void)count_frames(fd, FRAMES / 2 - 6, &pixel);
            assert_in_range(pixel.y, 63 + 4, 63 + 30);
            (void)count_frames(fd, FRAMES / 2 + 6, &pixel);
            assert_in_range(pixel.y, 173 - 30, 173 - 4);
        }
        close(fd);
    }
}

static int report_last, report_count;

static void note_report(int frames_encoded)
{
    assert_true(frames_encoded >= report_last);
    report_last = frames_encoded;
    report_count++;
}

static void broken_image_is_named(void **state)
{
    int images[3] = {coloured_image(0), sample_memory("no picture at all", 17), coloured_image(1)};
    char note[200] = "";
    struct media_animatic animatic = {
        .prompt = "a quiet harbour",
        .width = WIDTH,
        .height = HEIGHT,
        .n_frames = 10,
        .images = images,
        .n_images = 3,
        .output = sample_memory("", 0),
    };

    (void)state;
    assert_int_equal(film(&animatic, NULL, note), MEDIA_BAD_IMAGE);
    assert_string_equal(note, "image 2 cannot be decoded");
    close(images[1]);
    images[1] = coloured_image(2);
    report_last = report_count = 0;
    assert_int_equal(film(&animatic, note_report, note), MEDIA_DONE);
    assert_int_equal(report_last, 10);
    assert_true(report_count >= 10);
    for (int i = 0; i < 3; i++)
        close(images[i]);
    close(animatic.output);
}

static void full_disk_is_told_apart(void **state)
{
    char note[200] = "";
    struct media_animatic animatic = {
        .prompt = "a quiet harbour",
        .width = WIDTH,
        .height = HEIGHT,
        .n_frames = 60,
        .output = open("/dev/full", O_RDWR | O_CLOEXEC),
    };

    (void)state;
    must(animatic.output >= 0);
    assert_int_equal(film(&animatic, NULL, note), MEDIA_NO_SPACE);
    assert_true(strlen(note) > 0);
    close(animatic.output);
}

static void file_limit_is_told_apart(void **state)
{
    struct rlimit before, small;
    char note[200] = "";
    struct media_animatic animatic = {
        .prompt = "a quiet harbour",
        .width = WIDTH,
        .height = HEIGHT,
        .n_frames = 60,
        .output = sample_memory("", 0),
    };
    enum media_end end;

    (void)state;
    must(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = (struct rlimit){.rlim_cur = 2000, .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    must(setrlimit(RLIMIT_FSIZE, &small) == 0);
    end = film(&animatic, NULL, note);
    must(setrlimit(RLIMIT_FSIZE, &before) == 0);
    (void)signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(end, MEDIA_TOO_LARGE);
    assert_true(strlen(note) > 0);
    close(animatic.output);
}

/* ---- backdrops and captions ---- */

struct canvas {
    int width, height, strides[3];
    uint8_t *planes[3];
};

static struct canvas canvas_new(int width, int height, uint8_t value)
{
    struct canvas canvas = {width, height, {width, width / 2, width / 2}, {0}};

    canvas.planes[0] = must_calloc((size_t)(width * height), 2);
    canvas.planes[1] = canvas.planes[0] + width * height;
    canvas.planes[2] = canvas.planes[1] + width * height / 4;
    memset(canvas.planes[0], value, (size_t)(width * height / 2 * 3));
    return canvas;
}

static void canvas_fini(struct canvas *canvas)
{
    free(canvas->planes[0]);
}

/* Mean difference of two canvases in thousandths, rows `top` up to `bottom`. */
static long difference(const struct canvas *a, const struct canvas *b, int top, int bottom)
{
    long sum = 0;

    for (int i = top * a->width; i < bottom * a->width; i++)
        sum += labs((long)a->planes[0][i] - b->planes[0][i]);
    return sum * 1000 / ((bottom - top) * a->width);
}

static struct canvas backdrop_canvas(const char *text, int64_t seed, double seconds)
{
    struct canvas canvas = canvas_new(176, 320, 0);
    struct backdrop *backdrop = backdrop_new(text, seed, canvas.width, canvas.height);

    backdrop_draw(backdrop, seconds, canvas.planes, canvas.strides);
    backdrop = backdrop_free(backdrop);
    return canvas;
}

static void backdrops_differ_and_move(void **state)
{
    struct canvas first = backdrop_canvas("a quiet harbour", 1, 0);
    struct canvas others[] = {
        backdrop_canvas("a quiet harbour", 2, 0),
        backdrop_canvas("a quiet harbor", 1, 0),
        backdrop_canvas("a quiet harbour", 1, 4),
    };
    struct canvas again = backdrop_canvas("a quiet harbour", 1, 0);

    (void)state;
    assert_int_equal(difference(&first, &again, 0, first.height), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        assert_true(difference(&first, &others[i], 0, first.height) > 4000);
        canvas_fini(&others[i]);
    }
    for (int i = 0; i < first.width * first.height; i++)
        assert_in_range(first.planes[0][i], 16, 235);
    /* Smooth: neighbours are never far apart. */
    for (int i = 1; i < first.width; i++)
        assert_true(abs(first.planes[0][i] - first.planes[0][i - 1]) <= 12);
    canvas_fini(&first);
    canvas_fini(&again);
}

static struct canvas captioned(const char *text, enum caption_style style, double opacity)
{
    struct canvas canvas = canvas_new(352, 640, 90);
    struct caption *caption = caption_new(text, style, canvas.width, canvas.height);

    if (caption != NULL)
        caption_blend(caption, canvas.planes, canvas.strides, opacity);
    caption = caption_free(caption);
    return canvas;
}

static long changed(const char *text, enum caption_style style, int top, int bottom)
{
    struct canvas plain = canvas_new(352, 640, 90);
    struct canvas canvas = captioned(text, style, 1);
    long result = difference(&plain, &canvas, top, bottom);

    canvas_fini(&plain);
    canvas_fini(&canvas);
    return result;
}

static char *long_text(const char *piece, int times)
{
    char *text = must_calloc(strlen(piece) * (size_t)times + 1, 1);

    for (int i = 0; i < times; i++)
        memcpy(text + strlen(piece) * (size_t)i, piece, strlen(piece));
    return text;
}

static void every_text_shows_in_its_place(void **state)
{
    static const char *const texts[] = {
        "A quiet harbour at dawn",
        "海边的小镇，清晨的雾",
        "静かな港町の夜明け",
        "고요한 항구의 새벽",
        "قارب صغير يعبر الميناء الهادئ",
        "סירה קטנה 3 חוצה את הנמל",
        "เรือลำเล็กแล่นผ่านท่าเรืออันเงียบสงบ",
        "🦊❄️ 👩‍🚀🇯🇵",
        "<b>bold</b> &amp; <span size='999999'>x</span>",
        "{\\an8}{\\fs200}top? %{pts} %s%n $HOME \\N",
        "one\ntwo\r\nthree\xe2\x80\xa8"
        "four\n\n\n\nfive",
        "broken \xff\xfe\xc3( utf-8 \xf0\x9f",
        "tab\tbell\x07"
        "escape\x1b[31m",
        "e\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81 stacked",
        "\xe2\x80\xae"
        "reversed",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        assert_true(changed(texts[i], CAPTION_SUBTITLE, 480, 640) > 1000);
        assert_int_equal(changed(texts[i], CAPTION_SUBTITLE, 0, 400), 0);
        assert_true(changed(texts[i], CAPTION_TITLE, 100, 540) > 1000);
        assert_int_equal(changed(texts[i], CAPTION_TITLE, 0, 60), 0);
        assert_int_equal(changed(texts[i], CAPTION_TITLE, 580, 640), 0);
        assert_true(changed(texts[i], CAPTION_MARK, 560, 640) > 100);
    }
}

static void long_texts_are_cut(void **state)
{
    static const struct {
        const char *piece;
        int times;
    } cases[] = {{"x", 2000}, {"a word ", 300}, {"雾", 2000},  {"\n\n line", 300},
                 {"😀", 2000}, {"ก", 2000},      {"W", 100000}, {" \n", 3000}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char *text = long_text(cases[i].piece, cases[i].times);

        if (i + 1 < ARRAY_LENGTH(cases)) {
            assert_true(changed(text, CAPTION_SUBTITLE, 480, 640) > 1000);
            assert_true(changed(text, CAPTION_TITLE, 100, 540) > 1000);
        }
        assert_int_equal(changed(text, CAPTION_SUBTITLE, 0, 400), 0);
        assert_int_equal(changed(text, CAPTION_TITLE, 0, 60), 0);
        free(text);
    }
}

static void nothing_to_show(void **state)
{
    static const char *const texts[] = {
        "", " ", "\n\t \r\n", "\x01\x02", "\xe2\x80\x8b", "\xe2\x80\xae"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        assert_null(caption_new(texts[i], CAPTION_SUBTITLE, 352, 640));
        assert_null(caption_new(texts[i], CAPTION_TITLE, 352, 640));
    }
    assert_null(caption_free(NULL));
}

static void assert_captions_equal(const char *a, const char *b, enum caption_style style,
                                  bool equal)
{
    struct canvas first = captioned(a, style, 1), second = captioned(b, style, 1);

    assert_int_equal(difference(&first, &second, 0, first.height) == 0, equal);
    canvas_fini(&first);
    canvas_fini(&second);
}

static void text_is_no_markup(void **state)
{
    (void)state;
    assert_captions_equal("<b>dawn</b>", "dawn", CAPTION_SUBTITLE, false);
    assert_captions_equal("&lt;", "<", CAPTION_SUBTITLE, false);
    assert_captions_equal("two\nlines", "two lines", CAPTION_SUBTITLE, true);
    assert_captions_equal("two\nlines", "two lines", CAPTION_TITLE, false);
    assert_captions_equal("  a \t  b ", "a b", CAPTION_TITLE, true);
}

static void opacity_is_gradual(void **state)
{
    struct canvas plain = canvas_new(352, 640, 90);
    long last = 0;

    (void)state;
    for (int i = 0; i <= 4; i++) {
        struct canvas canvas = captioned("A quiet harbour", CAPTION_SUBTITLE, i / 4.0);
        long now = difference(&plain, &canvas, 560, 640);

        assert_true(i == 0 ? now == 0 : now > last + 1000);
        last = now;
        canvas_fini(&canvas);
    }
    canvas_fini(&plain);
}

/* No frame is too small or too odd in shape; the sanitizers watch the edges. */
static void captions_in_any_frame(void **state)
{
    static const int sizes[][2] = {{2, 2}, {16, 16}, {2, 400}, {400, 2}, {64, 1000}, {1792, 64}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        for (int style = CAPTION_SUBTITLE; style <= CAPTION_MARK; style++) {
            struct canvas canvas = canvas_new(sizes[i][0], sizes[i][1], 90);
            struct caption *caption = caption_new("A quiet harbour 🦊", (enum caption_style)style,
                                                  canvas.width, canvas.height);

            assert_non_null(caption);
            caption_blend(caption, canvas.planes, canvas.strides, 1);
            caption = caption_free(caption);
            canvas_fini(&canvas);
        }
    }
}

/* A mark is drawn from an outline, and looks as if it had been laid out for its frame. */
static void marks_come_in_any_size(void **state)
{
    static const int sizes[][2] = {{352, 640}, {1280, 720}, {400, 400},
                                   {64, 1000}, {2, 2},      {400, 2}};
    struct caption_mark *mark = caption_mark_new("filmgate");

    (void)state;
    assert_non_null(mark);
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        const int height = sizes[i][1];
        struct canvas plain = canvas_new(sizes[i][0], height, 90);
        struct canvas laid_out = canvas_new(sizes[i][0], height, 90);
        struct canvas outlined = canvas_new(sizes[i][0], height, 90);
        struct caption *captions[] = {
            caption_new("filmgate", CAPTION_MARK, sizes[i][0], height),
            caption_of_mark(mark, sizes[i][0], height),
        };

        caption_blend(captions[0], laid_out.planes, laid_out.strides, 1);
        caption_blend(captions[1], outlined.planes, outlined.strides, 1);
        if (i < 3) {
            const int top = height * 4 / 5;
            const long seen = difference(&plain, &outlined, top, height);

            assert_true(seen > 500);
            assert_int_equal(difference(&plain, &outlined, 0, top), 0);
            assert_true(difference(&laid_out, &outlined, top, height) < seen / 2);
        }
        for (size_t k = 0; k < ARRAY_LENGTH(captions); k++)
            captions[k] = caption_free(captions[k]);
        canvas_fini(&plain);
        canvas_fini(&laid_out);
        canvas_fini(&outlined);
    }
    mark = caption_mark_free(mark);
    assert_null(caption_mark_free(NULL));
    assert_null(caption_mark_new(" "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_frames_as_asked_for),
        cmocka_unit_test(same_request_same_bytes),
        cmocka_unit_test(images_take_turns),
        cmocka_unit_test(broken_image_is_named),
        cmocka_unit_test(full_disk_is_told_apart),
        cmocka_unit_test(file_limit_is_told_apart),
        cmocka_unit_test(backdrops_differ_and_move),
        cmocka_unit_test(every_text_shows_in_its_place),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(nothing_to_show),
        cmocka_unit_test(text_is_no_markup),
        cmocka_unit_test(opacity_is_gradual),
        cmocka_unit_test(captions_in_any_frame),
        cmocka_unit_test(marks_come_in_any_size),
    };

    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

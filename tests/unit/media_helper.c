/* SPDX-License-Identifier: Apache-2.0
 *
 * Films made by a real helper (this program, started as `… helper media`), sandbox and all: every
 * image format, captions in every script, and the companions of what came out. A system call that
 * the sandbox lacks shows here as a crash. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <libavutil/log.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/loop.h"
#include "media/media.h"
#include "media_sample.h"

enum { WIDTH = 128, HEIGHT = 96, FRAMES = 6, PATIENCE_MS = 120000 };

struct run {
    struct loop *loop;
    int n_ended;
    enum media_end end;
    char note[200];
};

static void on_ended(void *context, enum media_end end, const struct media_facts *facts,
                     const char *note)
{
    struct run *run = context;
    run->n_ended++;
    run->end = end;
    (void)snprintf(run->note, sizeof run->note, "%s", note);
    assert_int_equal(facts != NULL, end == MEDIA_DONE);
    loop_stop(run->loop);
}

static const struct media_limits LIMITS = {
    .total_ms = PATIENCE_MS,
    .stall_ms = PATIENCE_MS,
    .memory_bytes = INT64_C(2) << 30,
    .file_bytes = INT64_C(1) << 28,
};

/* Runs to the end; the caller looks at how it ended. */
static struct run film(const char *prompt, const int *images, size_t n_images, int output)
{
    struct run run = {0};
    struct media_handler handler = {NULL, on_ended, &run};
    struct media_job *job = NULL;
    const struct media_animatic animatic = {
        .prompt = prompt,
        .seed = 3,
        .width = WIDTH,
        .height = HEIGHT,
        .n_frames = FRAMES,
        .images = images,
        .n_images = n_images,
        .output = output,
    };
    assert_int_equal(loop_new(&run.loop), 0);
    assert_int_equal(media_animatic_start(run.loop, &animatic, &LIMITS, &handler, &job), 0);
    loop_run(run.loop);
    loop_free(run.loop);
    assert_int_equal(run.n_ended, 1);
    return run;
}

static struct run companions(const struct media_variants *variants)
{
    struct run run = {0};
    struct media_handler handler = {NULL, on_ended, &run};
    struct media_job *job = NULL;
    assert_int_equal(loop_new(&run.loop), 0);
    assert_int_equal(media_variants_start(run.loop, variants, &LIMITS, &handler, &job), 0);
    loop_run(run.loop);
    loop_free(run.loop);
    assert_int_equal(run.n_ended, 1);
    return run;
}

static void assert_done(const struct run *run, const char *what)
{
    if (run->end != MEDIA_DONE)
        fail_msg("%s: ended as %d, \"%s\"", what, (int)run->end, run->note);
}

static void assert_full(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    assert_true(status.st_size > 100);
}

static void test_every_script(void **state)
{
    static const char *const PROMPTS[] = {
        "A quiet harbour at dawn",
        "海边的小镇，清晨的雾",
        "静かな港町の夜明け",
        "고요한 항구의 새벽",
        "قارب صغير يعبر الميناء الهادئ",
        "סירה קטנה 3 חוצה את הנמל",
        "เรือลำเล็กแล่นผ่านท่าเรืออันเงียบสงบ",
        "Тихая гавань на рассвете",
        "शांत बंदरगाह पर सुबह",
        "ήσυχο λιμάνι",
        "🦊❄️ 👩‍🚀🇯🇵",
        "𓂀 ᚠᚢᚦ \xf3\xb0\x80\x80 no font has these",
        "broken \xef\xbf\xbd and \x01 controls",
        "",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(PROMPTS); i++) {
        int image = sample_file(AV_CODEC_ID_PNG, sample_quadrants(90, 60, 255), 0);
        for (size_t n_images = 0; n_images < 2; n_images++) {
            int output = sample_memory("", 0);
            struct run run = film(PROMPTS[i], &image, n_images, output);
            assert_done(&run, PROMPTS[i]);
            assert_full(output);
            close_fd(&output);
        }
        close_fd(&image);
    }
}

static int jpeg(enum AVPixelFormat format)
{
    return sample_file(AV_CODEC_ID_MJPEG, sample_convert(sample_quadrants(90, 60, 255), format), 0);
}

static int png(enum AVPixelFormat format)
{
    return sample_file(AV_CODEC_ID_PNG, sample_convert(sample_quadrants(90, 60, 128), format), 0);
}

static void test_every_image_format(void **state)
{
    int images[] = {
        jpeg(AV_PIX_FMT_YUVJ420P),
        jpeg(AV_PIX_FMT_YUVJ444P),
        png(AV_PIX_FMT_RGBA),
        png(AV_PIX_FMT_GRAY8),
        png(AV_PIX_FMT_RGBA64BE),
        sample_file(AV_CODEC_ID_PNG, sample_palette(90, 60), 0),
        sample_gif(90, 60),
        sample_webp(sample_quadrants(90, 60, 255), 80),
        sample_webp(sample_quadrants(90, 60, 128), -1),
        sample_webp_moving(90, 60),
        sample_file(AV_CODEC_ID_PNG, sample_plain(5000, 40, 9, 9, 9), 0), /* scaled when loaded */
    };
    int output = sample_memory("", 0);
    (void)state;
    struct run run = film("one after the other", images, ARRAY_LENGTH(images), output);
    assert_done(&run, "all formats");
    assert_full(output);
    close_fd(&output);
    for (size_t i = 0; i < ARRAY_LENGTH(images); i++)
        close_fd(&images[i]);
}

/* A broken image is an outcome, not a forbidden call. */
static void test_broken_images(void **state)
{
    static const char *const BYTES[] = {"no picture", "\x89PNG\r\n\x1a\n", "\xff\xd8\xff\xe0",
                                        "GIF89a",     "RIFF____WEBPVP8 ",  ""};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(BYTES); i++) {
        int image = sample_memory(BYTES[i], strlen(BYTES[i]));
        int output = sample_memory("", 0);
        struct run run = film("a quiet harbour", &image, 1, output);
        assert_int_equal(run.end, MEDIA_BAD_IMAGE);
        close_fd(&image);
        close_fd(&output);
    }
}

static void test_companions(void **state)
{
    int files[6];
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
        files[i] = sample_memory("", 0);
    struct run run = film("a quiet harbour", NULL, 0, files[0]);
    assert_done(&run, "the source");
    const struct media_variants variants = {files[0], files[1], files[2],
                                            files[3], files[4], files[5]};
    run = companions(&variants);
    assert_done(&run, "the companions");
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        assert_full(files[i]);
        close_fd(&files[i]);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "helper") == 0)
        return media_helper_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_script),
        cmocka_unit_test(test_every_image_format),
        cmocka_unit_test(test_broken_images),
        cmocka_unit_test(test_companions),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests_name("media_helper", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Sprite sheets of videos of any length: which frames stand there, and where. Frame n of a video is grey of its own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <webp/decode.h>

#include "base/must.h"
#include "media/sheet.h"

enum {
    WIDTH = 24,
    HEIGHT = 16,
    NEAR = 4, /* what packing may change of a grey */
};

static int grey_of(int index, int n_frames)
{
    return n_frames <= 1 ? 128 : index * 255 / (n_frames - 1);
}

static AVFrame *new_frame(int width, int height, int grey)
{
    AVFrame *frame = av_frame_alloc();
    must(frame);
    frame->format = AV_PIX_FMT_RGB24;
    frame->width = width;
    frame->height = height;
    must(av_frame_get_buffer(frame, 0) == 0);
    for (int y = 0; y < height; y++)
        memset(frame->data[0] + (ptrdiff_t)y * frame->linesize[0], grey, (size_t)width * 3);
    return frame;
}

static void offer(struct sheet *sheet, int grey)
{
    AVFrame *frame = new_frame(WIDTH, HEIGHT, grey);
    assert_int_equal(sheet_offer(sheet, frame), 0);
    av_frame_free(&frame);
}

/* What was written, decoded; WebPFree() it. */
static uint8_t *look_at(const struct sheet *sheet, int *ret_width, int *ret_height)
{
    int fd = memfd_create("sheet", MFD_CLOEXEC);
    assert_int_equal(sheet_write(sheet, fd), 0);
    off_t size = lseek(fd, 0, SEEK_END);
    uint8_t *data = must_calloc(1, (size_t)size);
    assert_int_equal(pread(fd, data, (size_t)size, 0), size);
    uint8_t *rgb = WebPDecodeRGB(data, (size_t)size, ret_width, ret_height);
    assert_non_null(rgb);
    free(data);
    close(fd);
    return rgb;
}

/* The grey in the middle of a tile. */
static int grey_at(const uint8_t *rgb, int width, int tile)
{
    int x = tile % SHEET_COLUMNS * WIDTH + WIDTH / 2,
        y = tile / SHEET_COLUMNS * HEIGHT + HEIGHT / 2;
    return rgb[(y * width + x) * 3];
}

static void check_length(int n_frames)
{
    struct sheet *sheet = sheet_new(WIDTH, HEIGHT);
    for (int i = 0; i < n_frames; i++)
        offer(sheet, grey_of(i, n_frames));
    int width, height, step = 1;
    uint8_t *rgb = look_at(sheet, &width, &height);
    /* Each frame whose number is a multiple of a step, which doubles until they are few enough. */
    while ((n_frames + step - 1) / step > 2 * SHEET_TILES)
        step *= 2;
    int n_kept = (n_frames + step - 1) / step;
    int n_tiles = n_kept < SHEET_TILES ? n_kept : SHEET_TILES;
    assert_int_equal(width, SHEET_COLUMNS * WIDTH);
    assert_int_equal(height, (n_tiles + SHEET_COLUMNS - 1) / SHEET_COLUMNS * HEIGHT);
    for (int i = 0; i < n_tiles; i++) {
        int wanted = grey_of(i * n_kept / n_tiles * step, n_frames);
        int found = grey_at(rgb, width, i);
        if (abs(found - wanted) > NEAR)
            fail_msg("%d frames, tile %d: %d, not %d", n_frames, i, found, wanted);
    }
    WebPFree(rgb);
    assert_null(sheet_free(sheet));
}

static void frames_from_all_over_stand_in_order(void **state)
{
    static const int lengths[] = {1,  2,  3,  4,  5,  15, 16,  17,  31,
                                  32, 33, 34, 63, 64, 65, 100, 129, 450};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++)
        check_length(lengths[i]);
}

static void places_without_a_frame_are_black(void **state)
{
    int width, height;
    (void)state;
    struct sheet *sheet = sheet_new(WIDTH, HEIGHT);
    for (int i = 0; i < 5; i++)
        offer(sheet, 255);
    uint8_t *rgb = look_at(sheet, &width, &height);
    assert_true(grey_at(rgb, width, 4) > 255 - NEAR);
    for (int i = 5; i < 8; i++)
        assert_true(grey_at(rgb, width, i) < NEAR);
    WebPFree(rgb);
    sheet_free(sheet);
    assert_null(sheet_free(NULL));
}

static void large_frames_are_made_small(void **state)
{
    static const struct {
        int width, height, sheet_width, sheet_height;
    } rows[] = {
        {1920, 1080, 960, 135}, {1080, 1920, 540, 240}, {240, 240, 960, 240}, {4000, 2, 960, 1}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        int width, height;
        struct sheet *sheet = sheet_new(rows[i].width, rows[i].height);
        AVFrame *frame = new_frame(rows[i].width, rows[i].height, 100);
        assert_int_equal(sheet_offer(sheet, frame), 0);
        uint8_t *rgb = look_at(sheet, &width, &height);
        assert_int_equal(width, rows[i].sheet_width);
        assert_int_equal(height, rows[i].sheet_height);
        WebPFree(rgb);
        av_frame_free(&frame);
        sheet_free(sheet);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_from_all_over_stand_in_order),
        cmocka_unit_test(places_without_a_frame_are_black),
        cmocka_unit_test(large_frames_are_made_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

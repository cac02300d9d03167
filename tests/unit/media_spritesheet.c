/* SPDX-License-Identifier: Apache-2.0
 *
 * Sprite sheets, in this process: their size, which frames they show, and their colours. The frames
 * bear their numbers, as three grey digits that survive a JPEG. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <libavutil/error.h>
#include <libavutil/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/must.h"
#include "media/picture.h"
#include "media/spritesheet.h"
#include "media_sample.h"

enum {
    DIGITS = 3,
    BASE = 16,
    DIGIT_SIDE = 16,
    WIDTH = DIGITS * DIGIT_SIDE,
    HEIGHT = DIGIT_SIDE,
    BLACK = 16,
    DIGIT_STEP = 13,
    CELLS = SPRITESHEET_CELLS_MAX,
    COLUMNS = SPRITESHEET_COLUMNS,
    DECODED_SIDE_MAX = 16384,
    COLOUR_TOLERANCE = 4,
};

/* ---- frames ---- */

static void fill(AVFrame *frame, int plane, int value)
{
    int shift = plane > 0;
    int height = (frame->height + shift) >> shift;
    memset(frame->data[plane], value, (size_t)frame->linesize[plane] * (size_t)height);
}

static AVFrame *new_frame(int width, int height)
{
    AVFrame *frame = sample_frame(AV_PIX_FMT_YUV420P, width, height);
    for (int plane = 0; plane < 3; plane++)
        fill(frame, plane, plane == 0 ? BLACK : 128);
    return frame;
}

static void write_number(AVFrame *frame, int number)
{
    for (int i = DIGITS - 1; i >= 0; i--, number /= BASE)
        for (int y = 0; y < HEIGHT; y++)
            memset(frame->data[0] + (ptrdiff_t)y * frame->linesize[0] + (ptrdiff_t)i * DIGIT_SIDE,
                   BLACK + DIGIT_STEP * (number % BASE), DIGIT_SIDE);
}

static int read_number(const struct picture *sheet, int cell)
{
    int number = 0;
    int y = cell / COLUMNS * HEIGHT + HEIGHT / 2;
    for (int i = 0; i < DIGITS; i++) {
        int x = cell % COLUMNS * WIDTH + i * DIGIT_SIDE + DIGIT_SIDE / 2;
        int grey = sheet->plane[0][y * sheet->width + x] - BLACK + DIGIT_STEP / 2;
        number = number * BASE + grey / DIGIT_STEP;
    }
    return number;
}

/* ---- sheets ---- */

static struct picture write_and_read(const struct spritesheet *sheet)
{
    struct picture picture;
    uint8_t head[11];
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(spritesheet_write(sheet, fd), 0);
    assert_int_equal(pread(fd, head, sizeof head, 0), sizeof head);
    assert_memory_equal(head, "\xff\xd8\xff\xe0", 4);
    assert_memory_equal(head + 6, "JFIF", 5);
    assert_int_equal(picture_load(fd, DECODED_SIDE_MAX, &picture), 0);
    close_fd(&fd);
    return picture;
}

/* Of a film of `n_frames` that says that it has `n_told`. */
static struct picture sheet_of(int n_frames, int64_t n_told)
{
    struct spritesheet *sheet = spritesheet_new(WIDTH, HEIGHT, n_told);
    AVFrame *frame = new_frame(WIDTH, HEIGHT);
    for (int i = 0; i < n_frames; i++) {
        write_number(frame, i);
        assert_int_equal(spritesheet_offer(sheet, frame), 0);
    }
    struct picture picture = write_and_read(sheet);
    av_frame_free(&frame);
    assert_null(spritesheet_free(sheet));
    return picture;
}

static int at_most(int number, int most)
{
    return number < most ? number : most;
}

static void check_grid(const struct picture *sheet, int n_cells)
{
    int n_columns = at_most(n_cells, COLUMNS);
    assert_int_equal(sheet->width, n_columns * WIDTH);
    assert_int_equal(sheet->height, (n_cells + n_columns - 1) / n_columns * HEIGHT);
}

/* ---- cases ---- */

static void test_each_cell_is_the_middle_of_its_part(void **state)
{
    static const int LENGTHS[] = {26, 30, 49, 50, 51, 75, 99, 100, 101, 125, 150, 300, 750, 1801};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(LENGTHS); i++) {
        struct picture sheet = sheet_of(LENGTHS[i], LENGTHS[i]);
        check_grid(&sheet, CELLS);
        for (int cell = 0; cell < CELLS; cell++)
            assert_int_equal(read_number(&sheet, cell), (2 * cell + 1) * LENGTHS[i] / (2 * CELLS));
        picture_fini(&sheet);
    }
}

/* As many cells as frames, each frame once; what is left of the last row is black. */
static void test_short_films(void **state)
{
    (void)state;
    for (int n_frames = 1; n_frames <= CELLS; n_frames++) {
        struct picture sheet = sheet_of(n_frames, n_frames % 2 ? n_frames : 0);
        check_grid(&sheet, n_frames);
        int n_places = n_frames < COLUMNS ? n_frames : (n_frames + COLUMNS - 1) / COLUMNS * COLUMNS;
        for (int cell = 0; cell < n_places; cell++)
            assert_int_equal(read_number(&sheet, cell), cell < n_frames ? cell : 0);
        picture_fini(&sheet);
    }
}

/* Of a film that says too little, or nothing, each cell is still of its own part. */
static void test_films_that_do_not_say(void **state)
{
    (void)state;
    for (int n_frames = CELLS; n_frames < 2000; n_frames += n_frames < 220 ? 1 : 97) {
        const int told[] = {0, n_frames / 3, n_frames - 1};
        for (size_t i = 0; i < ARRAY_LENGTH(told); i++) {
            struct picture sheet = sheet_of(n_frames, told[i]);
            check_grid(&sheet, CELLS);
            for (int cell = 0; cell < CELLS; cell++) {
                int number = read_number(&sheet, cell);
                if (number < cell * n_frames / CELLS || number * CELLS >= (cell + 1) * n_frames)
                    fail_msg("%d frames, %d told: cell %d shows %d", n_frames, told[i], cell,
                             number);
            }
            picture_fini(&sheet);
        }
    }
}

static void test_films_that_boast(void **state)
{
    (void)state;
    struct picture sheet = sheet_of(200, 380); /* up to twice: no cell is missing */
    check_grid(&sheet, CELLS);
    assert_true(read_number(&sheet, 0) < 8);
    for (int cell = 1; cell < CELLS; cell++)
        assert_true(read_number(&sheet, cell) > read_number(&sheet, cell - 1));
    assert_true(read_number(&sheet, CELLS - 1) >= 192);
    picture_fini(&sheet);
    sheet = sheet_of(200, 1000);
    check_grid(&sheet, 10);
    picture_fini(&sheet);
    sheet = sheet_of(30, INT32_MAX);
    check_grid(&sheet, 1);
    assert_int_equal(read_number(&sheet, 0), 0);
    picture_fini(&sheet);
    sheet = sheet_of(30, INT64_MAX); /* more than any film: not believed */
    check_grid(&sheet, CELLS);
    picture_fini(&sheet);
}

static void test_sizes(void **state)
{
    static const struct {
        int width, height, cell_width, cell_height;
    } CASES[] = {
        {1920, 1080, 160, 90}, {1080, 1920, 90, 160}, {640, 640, 160, 160}, {160, 90, 160, 90},
        {161, 161, 160, 160},  {99, 77, 98, 76},      {2048, 858, 160, 66}, {3, 3, 2, 2},
        {1, 1, 2, 2},          {1000, 10, 160, 2},    {16384, 16, 160, 2},  {16, 16384, 2, 160},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        struct spritesheet *sheet = spritesheet_new(CASES[i].width, CASES[i].height, 0);
        AVFrame *frame = new_frame(CASES[i].width, CASES[i].height);
        for (int k = 0; k < COLUMNS + 1; k++)
            assert_int_equal(spritesheet_offer(sheet, frame), 0);
        struct picture picture = write_and_read(sheet);
        assert_int_equal(picture.width, COLUMNS * CASES[i].cell_width);
        assert_int_equal(picture.height, 2 * CASES[i].cell_height);
        picture_fini(&picture);
        av_frame_free(&frame);
        spritesheet_free(sheet);
    }
}

/* A film's frames may change their size and format on the way. */
static void test_a_film_that_changes(void **state)
{
    (void)state;
    struct spritesheet *sheet = spritesheet_new(320, 180, 0);
    AVFrame *frames[] = {new_frame(320, 180), new_frame(64, 640), new_frame(2, 2)};
    for (size_t i = 0; i < ARRAY_LENGTH(frames); i++)
        assert_int_equal(spritesheet_offer(sheet, frames[i]), 0);
    frames[0]->format = AV_PIX_FMT_VAAPI; /* no picture that we can read */
    assert_int_equal(spritesheet_offer(sheet, frames[0]), AVERROR(EINVAL));
    struct picture picture = write_and_read(sheet);
    assert_int_equal(picture.width, 480);
    assert_int_equal(picture.height, 90);
    picture_fini(&picture);
    frames[0]->format = AV_PIX_FMT_YUV420P;
    for (size_t i = 0; i < ARRAY_LENGTH(frames); i++)
        av_frame_free(&frames[i]);
    spritesheet_free(sheet);
}

/* The colours of high definition are those of its matrix, and a JPEG's are of another. */
static void test_colours(void **state)
{
    static const int COLOURS[][3] = {
        {63, 102, 240}, {173, 42, 26}, {32, 240, 118}, {128, 128, 128}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(COLOURS); i++) {
        struct spritesheet *sheet = spritesheet_new(1280, 720, 1);
        AVFrame *frame = new_frame(1280, 720);
        frame->colorspace = AVCOL_SPC_BT709;
        for (int plane = 0; plane < 3; plane++)
            fill(frame, plane, COLOURS[i][plane]);
        assert_int_equal(spritesheet_offer(sheet, frame), 0);
        struct picture picture = write_and_read(sheet);
        int middle = picture.height / 2 * picture.width + picture.width / 2;
        for (int plane = 0; plane < 3; plane++)
            assert_in_range(picture.plane[plane][middle], COLOURS[i][plane] - COLOUR_TOLERANCE,
                            COLOURS[i][plane] + COLOUR_TOLERANCE);
        picture_fini(&picture);
        av_frame_free(&frame);
        spritesheet_free(sheet);
    }
}

static void test_a_file_that_cannot_be_written(void **state)
{
    (void)state;
    struct spritesheet *sheet = spritesheet_new(WIDTH, HEIGHT, 0);
    AVFrame *frame = new_frame(WIDTH, HEIGHT);
    assert_int_equal(spritesheet_offer(sheet, frame), 0);
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
    assert_int_equal(spritesheet_write(sheet, fd), AVERROR(EPERM));
    close_fd(&fd);
    av_frame_free(&frame);
    spritesheet_free(sheet);
    assert_null(spritesheet_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_cell_is_the_middle_of_its_part),
        cmocka_unit_test(test_short_films),
        cmocka_unit_test(test_films_that_do_not_say),
        cmocka_unit_test(test_films_that_boast),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_a_film_that_changes),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_a_file_that_cannot_be_written),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests_name("media_spritesheet", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Images of every format that we accept through picture_load(), damaged ones among them, and the
 * sampler's arithmetic. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <libavutil/log.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/must.h"
#include "media/picture.h"
#include "media_sample.h"
#include "task/image.h"

enum { SIDE_MAX = 4096 };

/* 16×16 quadrants by libjpeg: progressive, and CMYK with Adobe's inversion; libavcodec writes
 * neither. */
static const uint8_t PROGRESSIVE_JPEG[] = {
    0xff, 0xd8, 0xff, 0xdb, 0x00, 0x43, 0x00, 0x03, 0x02, 0x02, 0x03, 0x02, 0x02, 0x03, 0x03, 0x03,
    0x03, 0x04, 0x03, 0x03, 0x04, 0x05, 0x08, 0x05, 0x05, 0x04, 0x04, 0x05, 0x0a, 0x07, 0x07, 0x06,
    0x08, 0x0c, 0x0a, 0x0c, 0x0c, 0x0b, 0x0a, 0x0b, 0x0b, 0x0d, 0x0e, 0x12, 0x10, 0x0d, 0x0e, 0x11,
    0x0e, 0x0b, 0x0b, 0x10, 0x16, 0x10, 0x11, 0x13, 0x14, 0x15, 0x15, 0x15, 0x0c, 0x0f, 0x17, 0x18,
    0x16, 0x14, 0x18, 0x12, 0x14, 0x15, 0x14, 0xff, 0xdb, 0x00, 0x43, 0x01, 0x03, 0x04, 0x04, 0x05,
    0x04, 0x05, 0x09, 0x05, 0x05, 0x09, 0x14, 0x0d, 0x0b, 0x0d, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14,
    0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14,
    0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14,
    0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0xff, 0xc2, 0x00, 0x11,
    0x08, 0x00, 0x10, 0x00, 0x10, 0x03, 0x01, 0x11, 0x00, 0x02, 0x11, 0x01, 0x03, 0x11, 0x01, 0xff,
    0xc4, 0x00, 0x16, 0x00, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x07, 0x08, 0x09, 0xff, 0xc4, 0x00, 0x18, 0x01, 0x00, 0x03, 0x01, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x08, 0x09, 0x05,
    0x07, 0xff, 0xda, 0x00, 0x0c, 0x03, 0x01, 0x00, 0x02, 0x10, 0x03, 0x10, 0x00, 0x00, 0x01, 0x39,
    0x05, 0x6a, 0x58, 0xc2, 0x66, 0x3c, 0xbd, 0x46, 0x7b, 0x9e, 0x96, 0xaa, 0xdb, 0x9f, 0xff, 0xc4,
    0x00, 0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x20, 0xff, 0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x01, 0x05, 0x02, 0x1f, 0xff,
    0xc4, 0x00, 0x14, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x20, 0xff, 0xda, 0x00, 0x08, 0x01, 0x03, 0x01, 0x01, 0x3f, 0x01, 0x1f,
    0xff, 0xc4, 0x00, 0x14, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xff, 0xda, 0x00, 0x08, 0x01, 0x02, 0x01, 0x01, 0x3f, 0x01,
    0x1f, 0xff, 0xc4, 0x00, 0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xff, 0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x06, 0x3f,
    0x02, 0x1f, 0xff, 0xc4, 0x00, 0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xff, 0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x01,
    0x3f, 0x21, 0x1f, 0xff, 0xda, 0x00, 0x0c, 0x03, 0x01, 0x00, 0x02, 0x00, 0x03, 0x00, 0x00, 0x00,
    0x10, 0xf5, 0x4f, 0xff, 0xc4, 0x00, 0x14, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xff, 0xda, 0x00, 0x08, 0x01, 0x03, 0x01,
    0x01, 0x3f, 0x10, 0x1f, 0xff, 0xc4, 0x00, 0x14, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xff, 0xda, 0x00, 0x08, 0x01, 0x02,
    0x01, 0x01, 0x3f, 0x10, 0x1f, 0xff, 0xc4, 0x00, 0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xff, 0xda, 0x00, 0x08, 0x01,
    0x01, 0x00, 0x01, 0x3f, 0x10, 0x1f, 0xff, 0xd9,
};

static const uint8_t CMYK_JPEG[] = {
    0xff, 0xd8, 0xff, 0xee, 0x00, 0x0e, 0x41, 0x64, 0x6f, 0x62, 0x65, 0x00, 0x64, 0x00, 0x00, 0x00,
    0x00, 0x00, 0xff, 0xdb, 0x00, 0x43, 0x00, 0x03, 0x02, 0x02, 0x03, 0x02, 0x02, 0x03, 0x03, 0x03,
    0x03, 0x04, 0x03, 0x03, 0x04, 0x05, 0x08, 0x05, 0x05, 0x04, 0x04, 0x05, 0x0a, 0x07, 0x07, 0x06,
    0x08, 0x0c, 0x0a, 0x0c, 0x0c, 0x0b, 0x0a, 0x0b, 0x0b, 0x0d, 0x0e, 0x12, 0x10, 0x0d, 0x0e, 0x11,
    0x0e, 0x0b, 0x0b, 0x10, 0x16, 0x10, 0x11, 0x13, 0x14, 0x15, 0x15, 0x15, 0x0c, 0x0f, 0x17, 0x18,
    0x16, 0x14, 0x18, 0x12, 0x14, 0x15, 0x14, 0xff, 0xc0, 0x00, 0x14, 0x08, 0x00, 0x10, 0x00, 0x10,
    0x04, 0x43, 0x11, 0x00, 0x4d, 0x11, 0x00, 0x59, 0x11, 0x00, 0x4b, 0x11, 0x00, 0xff, 0xc4, 0x00,
    0x16, 0x00, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x0a, 0x09, 0xff, 0xc4, 0x00, 0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xda, 0x00, 0x0e, 0x04,
    0x43, 0x00, 0x4d, 0x00, 0x59, 0x00, 0x4b, 0x00, 0x00, 0x3f, 0x00, 0xd5, 0x36, 0x55, 0x32, 0xa9,
    0xaa, 0x69, 0x57, 0x55, 0x40, 0x09, 0x57, 0x55, 0x40, 0xaa, 0x85, 0x54, 0x03, 0xff, 0xd9,
};

/* Red, green, blue, white in BT.709, limited range. */
static const uint8_t EXPECTED[4][3] = {
    {63, 102, 240}, {173, 42, 26}, {32, 240, 118}, {235, 128, 128}};

/* ---- helpers ---- */

static struct picture load(int fd)
{
    struct picture picture = {0};

    assert_int_equal(picture_load(fd, SIDE_MAX, &picture), 0);
    close(fd);
    return picture;
}

static uint8_t value_at(const struct picture *picture, int plane, int x, int y)
{
    return picture->plane[plane][(size_t)y * (size_t)picture->width + (size_t)x];
}

static void assert_near(int value, int expected, int tolerance)
{
    assert_in_range(value + 1000, expected - tolerance + 1000, expected + tolerance + 1000);
}

/* The middle of each quadrant; `planes` 1 looks at brightness alone. */
static void assert_quadrants(const struct picture *picture, int planes, int tolerance)
{
    for (int q = 0; q < 4; q++) {
        const int x = picture->width * (q % 2 == 0 ? 1 : 3) / 4;
        const int y = picture->height * (q / 2 == 0 ? 1 : 3) / 4;

        for (int p = 0; p < planes; p++)
            assert_near(value_at(picture, p, x, y), EXPECTED[q][p], tolerance);
    }
}

static void assert_file_shows_quadrants(int fd, int width, int height, int tolerance)
{
    struct picture picture = load(fd);

    assert_int_equal(picture.width, width);
    assert_int_equal(picture.height, height);
    assert_quadrants(&picture, 3, tolerance);
    picture_fini(&picture);
}

/* ---- formats ---- */

static void png_in_all_pixel_formats(void **state)
{
    static const enum AVPixelFormat formats[] = {AV_PIX_FMT_RGB24, AV_PIX_FMT_RGBA,
                                                 AV_PIX_FMT_RGB48BE, AV_PIX_FMT_RGBA64BE};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++)
        assert_file_shows_quadrants(
            sample_file(AV_CODEC_ID_PNG, sample_convert(sample_quadrants(61, 47, 255), formats[i]),
                        0),
            61, 47, 2);
    assert_file_shows_quadrants(sample_file(AV_CODEC_ID_PNG, sample_palette(33, 20), 0), 33, 20, 2);
    assert_file_shows_quadrants(
        sample_file(AV_CODEC_ID_PNG, sample_quadrants(61, 47, 255), AV_CODEC_FLAG_INTERLACED_DCT),
        61, 47, 2);
}

static void png_without_colour(void **state)
{
    static const enum AVPixelFormat formats[] = {AV_PIX_FMT_GRAY8, AV_PIX_FMT_GRAY16BE,
                                                 AV_PIX_FMT_YA8, AV_PIX_FMT_MONOBLACK};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        AVFrame *grey = sample_convert(sample_quadrants(64, 48, 255), formats[i]);
        struct picture picture = load(sample_file(AV_CODEC_ID_PNG, grey, 0));

        assert_near(value_at(&picture, 0, 48, 36), 235, 2);
        assert_true(value_at(&picture, 0, 16, 36) < 120);
        for (int p = 1; p < 3; p++)
            assert_near(value_at(&picture, p, 16, 12), 128, 1);
        picture_fini(&picture);
    }
}

static void jpeg_kinds(void **state)
{
    static const enum AVPixelFormat formats[] = {AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVJ422P,
                                                 AV_PIX_FMT_YUVJ444P};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++)
        assert_file_shows_quadrants(
            sample_file(AV_CODEC_ID_MJPEG,
                        sample_convert(sample_quadrants(80, 64, 255), formats[i]), 0),
            80, 64, 6);
    assert_file_shows_quadrants(sample_memory(PROGRESSIVE_JPEG, sizeof PROGRESSIVE_JPEG), 16, 16,
                                6);
    assert_file_shows_quadrants(sample_memory(CMYK_JPEG, sizeof CMYK_JPEG), 16, 16, 6);
}

static void webp_and_gif(void **state)
{
    (void)state;
    assert_file_shows_quadrants(sample_webp(sample_quadrants(61, 47, 255), -1), 61, 47, 2);
    assert_file_shows_quadrants(sample_webp(sample_quadrants(64, 48, 255), 90), 64, 48, 10);
    assert_file_shows_quadrants(sample_webp_moving(40, 30), 40, 30, 2);
    assert_file_shows_quadrants(sample_gif(40, 30), 40, 30, 2);
}

/* A JPEG with an APP1 segment after its start: EXIF, one entry, orientation `value`. */
static int oriented_jpeg(uint8_t value)
{
    const uint8_t segment[] = {
        0xff, 0xe1, 0,   34,                              /* APP1 and its length */
        'E',  'x',  'i', 'f', 0, 0,                       /* then TIFF, big-endian */
        'M',  'M',  0,   42,  0, 0, 0, 8, 0, 1,           /* one entry at 8 */
        0x01, 0x12, 0,   3,   0, 0, 0, 1, 0, value, 0, 0, /* Orientation, SHORT */
        0,    0,    0,   0,
    };
    AVFrame *frame = sample_convert(sample_quadrants(64, 32, 255), AV_PIX_FMT_YUVJ444P);
    size_t length = 0;
    uint8_t *bytes = sample_bytes(AV_CODEC_ID_MJPEG, frame, 0, &length);
    int fd = sample_memory(bytes, 2);

    must(write(fd, segment, sizeof segment) == (ssize_t)sizeof segment);
    must(write(fd, bytes + 2, length - 2) == (ssize_t)(length - 2));
    free(bytes);
    return fd;
}

static void jpeg_orientation(void **state)
{
    /* Which stored quadrant is shown at the upper left, upper right, lower left, lower right. */
    static const int shown[9][4] = {
        [1] = {0, 1, 2, 3}, [2] = {1, 0, 3, 2}, [3] = {3, 2, 1, 0}, [4] = {2, 3, 0, 1},
        [5] = {0, 2, 1, 3}, [6] = {2, 0, 3, 1}, [7] = {3, 1, 2, 0}, [8] = {1, 3, 0, 2},
    };

    (void)state;
    for (uint8_t value = 1; value <= 8; value++) {
        struct picture picture = load(oriented_jpeg(value));

        assert_int_equal(picture.width, value < 5 ? 64 : 32);
        assert_int_equal(picture.height, value < 5 ? 32 : 64);
        for (int q = 0; q < 4; q++) {
            const int x = picture.width * (q % 2 == 0 ? 1 : 3) / 4;
            const int y = picture.height * (q / 2 == 0 ? 1 : 3) / 4;

            assert_near(value_at(&picture, 0, x, y), EXPECTED[shown[value][q]][0], 6);
        }
        picture_fini(&picture);
    }
}

static void transparency_lies_over_black(void **state)
{
    struct picture picture;

    (void)state;
    picture = load(sample_file(AV_CODEC_ID_PNG, sample_quadrants(32, 32, 0), 0));
    for (int q = 0; q < 4; q++)
        assert_near(value_at(&picture, 0, q % 2 * 16 + 8, q / 2 * 16 + 8), 16, 1);
    picture_fini(&picture);
    picture = load(sample_webp(sample_quadrants(32, 32, 128), -1));
    assert_near(value_at(&picture, 0, 24, 24), 126, 2);
    assert_near(value_at(&picture, 0, 8, 8), 40, 2);
    picture_fini(&picture);
}

static void extreme_sizes(void **state)
{
    static const struct {
        int width, height, expected_width, expected_height;
    } cases[] = {
        {1, 1, 1, 1},       {1, 700, 1, 700},         {10000, 10, 4096, 4},
        {3, 9000, 1, 4096}, {5000, 4100, 4096, 3359},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        AVFrame *frame = sample_plain(cases[i].width, cases[i].height, 255, 255, 255);
        struct picture picture = load(sample_file(AV_CODEC_ID_PNG, frame, 0));

        assert_int_equal(picture.width, cases[i].expected_width);
        assert_int_equal(picture.height, cases[i].expected_height);
        assert_near(value_at(&picture, 0, 0, 0), 235, 1);
        assert_near(value_at(&picture, 0, picture.width - 1, picture.height - 1), 235, 1);
        picture_fini(&picture);
    }
}

/* ---- what is no image ---- */

static void assert_refused(int fd, int expected)
{
    struct picture picture = {.width = -1};
    int r = picture_load(fd, SIDE_MAX, &picture);

    if (expected != 0)
        assert_int_equal(r, expected);
    assert_true(r < 0);
    assert_int_equal(picture.width, -1);
    close(fd);
}

/* Keeps the first `part` of a file. */
static int cut(int fd, double part)
{
    off_t length = lseek(fd, 0, SEEK_END);

    must(ftruncate(fd, (off_t)((double)length * part)) == 0);
    return fd;
}

static int whole_file(enum image_type type, int side)
{
    AVFrame *frame = sample_quadrants(side, side, 255);

    switch (type) {
    case IMAGE_PNG:
        return sample_file(AV_CODEC_ID_PNG, frame, 0);
    case IMAGE_JPEG:
        return sample_file(AV_CODEC_ID_MJPEG, sample_convert(frame, AV_PIX_FMT_YUVJ420P), 0);
    case IMAGE_WEBP:
        return sample_webp(frame, 80);
    case IMAGE_GIF:
        av_frame_free(&frame);
        return sample_gif(side, side);
    }
    return -1;
}

static void damaged_files(void **state)
{
    (void)state;
    for (enum image_type type = IMAGE_PNG; type <= IMAGE_GIF; type++) {
        assert_refused(cut(whole_file(type, 300), 0.6), 0);
        assert_refused(cut(whole_file(type, 300), 0.1), 0);
    }
    assert_refused(cut(sample_webp_moving(300, 300), 0.3), 0);
    assert_refused(sample_memory("", 0), 0);
    assert_refused(sample_memory("just a few words", 16), 0);
    assert_refused(open("/dev", O_RDONLY | O_DIRECTORY), 0);
    assert_refused(-1, -EBADF);
}

/* Sizes are judged by what headers say, before a decoder takes memory. */
static void too_large(void **state)
{
    AVFrame *frame = sample_plain(8, 8, 0, 0, 0);
    size_t length = 0;
    uint8_t *bytes = sample_bytes(AV_CODEC_ID_PNG, frame, 0, &length);
    int fd = sample_memory("", 0);

    (void)state;
    bytes[16 + 2] = 0x40; /* 16392 wide */
    bytes[20 + 2] = 0x40; /* and high */
    assert_refused(sample_memory(bytes, length), -EFBIG);
    free(bytes);
    must(ftruncate(fd, (off_t)PICTURE_FILE_BYTES_MAX + 1) == 0);
    assert_refused(fd, -EFBIG);
}

/* Sanitizers reserve more address space than any limit that we could set. */
#if !HAS_SANITIZER
enum { LOADS = 1, LACKS_MEMORY, BLAMES_FILE }; /* exit statuses */

/* Never returns: loads the file with so many bytes of address space beyond what there is. */
static _Noreturn void load_within(int fd, size_t more)
{
    struct picture picture;
    char text[32] = "";
    int statm = open("/proc/self/statm", O_RDONLY);

    (void)malloc_trim(0);
    must(statm >= 0 && read(statm, text, sizeof text - 1) > 0);
    rlim_t most = strtoul(text, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE) + more;
    const struct rlimit limit = {.rlim_cur = most, .rlim_max = most};
    must(setrlimit(RLIMIT_AS, &limit) == 0);
    int r = picture_load(fd, SIDE_MAX, &picture);
    _exit(r == 0 ? LOADS : r == AVERROR(ENOMEM) ? LACKS_MEMORY : BLAMES_FILE);
}

/* However little there is, and wherever it runs out: nobody is told that his image is bad. */
static void too_little_memory(void **state)
{
    enum { SIDE = 1500, STEP = 512 << 10, ENOUGH = 64 << 20 };

    (void)state;
    for (enum image_type type = IMAGE_PNG; type <= IMAGE_GIF; type++) {
        int status = 0, n_lacks = 0;
        /* WebP without loss: only then its decoder takes much itself. */
        int fd = type == IMAGE_WEBP ? sample_webp(sample_quadrants(SIDE, SIDE, 255), -1)
                                    : whole_file(type, SIDE);

        for (size_t more = 0; more < ENOUGH && status != LOADS; more += STEP) {
            pid_t child = fork();
            if (child == 0)
                load_within(fd, more);
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_true(WIFEXITED(status));
            status = WEXITSTATUS(status);
            assert_int_not_equal(status, BLAMES_FILE);
            n_lacks += status == LACKS_MEMORY;
        }
        assert_int_equal(status, LOADS);
        assert_true(n_lacks > 0);
        close(fd);
    }
}
#endif

/* ---- sampling ---- */

struct canvas {
    int width, height, strides[3];
    uint8_t *planes[3];
};

static struct canvas canvas_new(int width, int height, uint8_t value)
{
    struct canvas canvas = {width, height, {width + 3, width / 2 + 3, width / 2 + 3}, {0}};

    for (int p = 0; p < 3; p++) {
        size_t bytes = (size_t)canvas.strides[p] * (size_t)height;

        canvas.planes[p] = must_calloc(bytes, 1);
        memset(canvas.planes[p], value, bytes);
    }
    return canvas;
}

static void canvas_fini(struct canvas *canvas)
{
    for (int p = 0; p < 3; p++)
        free(canvas->planes[p]);
}

static void sample(const struct picture *picture, struct picture_window window,
                   struct canvas *canvas, int weight)
{
    picture_sample(picture, &window, canvas->width, canvas->height, canvas->planes, canvas->strides,
                   weight);
}

/* A ramp: brightness 20 + x + 2 y, chroma that changes every two pixels. */
static struct picture ramp(int width, int height)
{
    struct picture picture = {.width = width, .height = height};

    picture.plane[0] = must_calloc(3, (size_t)(width * height));
    picture.plane[1] = picture.plane[0] + width * height;
    picture.plane[2] = picture.plane[1] + width * height;
    for (int i = 0; i < width * height; i++) {
        picture.plane[0][i] = (uint8_t)(20 + i % width + 2 * (i / width));
        picture.plane[1][i] = (uint8_t)(100 + i % width / 2);
        picture.plane[2][i] = (uint8_t)(100 + i / width / 2);
    }
    return picture;
}

static void constant_stays_constant(void **state)
{
    struct picture picture = load(sample_file(AV_CODEC_ID_PNG, sample_plain(37, 23, 255, 0, 0), 0));
    const uint8_t expected[3] = {picture.plane[0][0], picture.plane[1][0], picture.plane[2][0]};
    static const struct picture_window windows[] = {{0, 0, 37, 23},
                                                    {0.3, 1.7, 30.1, 19.9},
                                                    {36, 22, 1, 1},
                                                    {-5, -5, 60, 60},
                                                    {20, 3, 0.01, 0.01}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(windows); i++) {
        struct canvas canvas = canvas_new(64, 48, 0);

        sample(&picture, windows[i], &canvas, 256);
        for (int p = 0; p < 3; p++) {
            for (int y = 0; y < (p == 0 ? 48 : 24); y++) {
                for (int x = 0; x < (p == 0 ? 64 : 32); x++)
                    assert_int_equal(canvas.planes[p][y * canvas.strides[p] + x], expected[p]);
                /* and nothing behind the row is touched */
                assert_int_equal(canvas.planes[p][y * canvas.strides[p] + (p == 0 ? 64 : 32)], 0);
            }
        }
        canvas_fini(&canvas);
    }
    picture_fini(&picture);
}

static void identity_gives_the_original(void **state)
{
    struct picture picture = ramp(40, 30);
    struct canvas canvas = canvas_new(40, 30, 0);

    (void)state;
    sample(&picture, (struct picture_window){0, 0, 40, 30}, &canvas, 256);
    for (int y = 0; y < 30; y++) {
        for (int x = 0; x < 40; x++) {
            assert_int_equal(canvas.planes[0][y * canvas.strides[0] + x],
                             value_at(&picture, 0, x, y));
            for (int p = 1; p < 3; p++)
                assert_int_equal(canvas.planes[p][y / 2 * canvas.strides[p] + x / 2],
                                 value_at(&picture, p, x, y));
        }
    }
    canvas_fini(&canvas);
    picture_fini(&picture);
}

/* On a ramp, a shifted window gives shifted values, to a fraction of a pixel; halves go up. */
static void window_moves_by_fractions(void **state)
{
    struct picture picture = ramp(40, 30);
    struct canvas canvas = canvas_new(20, 10, 0);

    (void)state;
    sample(&picture, (struct picture_window){5.5, 4.5, 20, 10}, &canvas, 256);
    for (int y = 0; y < 10; y++) {
        for (int x = 0; x < 20; x++)
            assert_int_equal(canvas.planes[0][y * canvas.strides[0] + x], 20 + x + 6 + 2 * y + 9);
    }
    sample(&picture, (struct picture_window){10, 10, 10, 5}, &canvas, 256);
    assert_int_equal(canvas.planes[0][0], 49);
    assert_near(canvas.planes[0][19], 20 + 20 + 19, 1);
    canvas_fini(&canvas);
    picture_fini(&picture);
}

static void weight_blends(void **state)
{
    static const struct {
        int weight, expected;
    } cases[] = {{0, 40}, {64, 80}, {128, 120}, {192, 160}, {256, 200}};
    struct picture picture = ramp(8, 8);

    (void)state;
    memset(picture.plane[0], 200, 3 * 64);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct canvas canvas = canvas_new(16, 16, 40);

        sample(&picture, (struct picture_window){0, 0, 8, 8}, &canvas, cases[i].weight);
        for (int p = 0; p < 3; p++)
            assert_int_equal(canvas.planes[p][3 * canvas.strides[p] + 5], cases[i].expected);
        canvas_fini(&canvas);
    }
    picture_fini(&picture);
}

static void resize_crops(void **state)
{
    struct picture picture = load(sample_file(AV_CODEC_ID_PNG, sample_quadrants(80, 60, 255), 0));
    struct picture_window window = {40, 0, 40, 30}; /* green alone */
    struct picture small = {0};

    (void)state;
    assert_int_equal(picture_resize(&picture, &window, 100, 50, &small), 0);
    assert_int_equal(small.width, 100);
    assert_int_equal(small.height, 50);
    for (int p = 0; p < 3; p++) {
        assert_near(value_at(&small, p, 0, 0), EXPECTED[1][p], 2);
        assert_near(value_at(&small, p, 99, 49), EXPECTED[1][p], 2);
    }
    picture_fini(&small);
    window = (struct picture_window){0, 0, 80, 60};
    assert_int_equal(picture_resize(&picture, &window, 8, 6, &small), 0);
    assert_quadrants(&small, 3, 2);
    picture_fini(&small);
    picture_fini(&picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_in_all_pixel_formats),
        cmocka_unit_test(png_without_colour),
        cmocka_unit_test(jpeg_kinds),
        cmocka_unit_test(webp_and_gif),
        cmocka_unit_test(jpeg_orientation),
        cmocka_unit_test(transparency_lies_over_black),
        cmocka_unit_test(extreme_sizes),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(too_large),
#if !HAS_SANITIZER
        cmocka_unit_test(too_little_memory),
#endif
        cmocka_unit_test(constant_stays_constant),
        cmocka_unit_test(identity_gives_the_original),
        cmocka_unit_test(window_moves_by_fractions),
        cmocka_unit_test(weight_blends),
        cmocka_unit_test(resize_crops),
    };

    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * How many frames a video has is known at its end, so more tiles are kept than are shown: every frame at first, and whenever there
 * is no room for another, each second one goes and the step doubles. What is left is evenly spaced always, and each frame
 * that was kept was scaled once. Runs in the helper, single-threaded. */
#include "media/sheet.h"

#include <libavutil/error.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "media/scale.h"
#include "media/thumbnail.h"

enum { KEPT_MAX = 2 * SHEET_TILES };

struct sheet {
    int width, height; /* of a tile */
    struct scaler *scaler;
    int64_t n_offered, step;
    int n_kept;
    uint8_t *kept[KEPT_MAX]; /* RGB, rows without gaps */
};

static int fit(int side, int long_side)
{
    if (long_side <= SHEET_TILE_SIDE_MAX)
        return side;
    int fitted = (int)((int64_t)side * SHEET_TILE_SIDE_MAX / long_side);
    return fitted < 1 ? 1 : fitted;
}

struct sheet *sheet_new(int width, int height)
{
    must(width > 0 && height > 0);
    struct sheet *sheet = must_calloc(1, sizeof *sheet);
    int long_side = width > height ? width : height;
    sheet->width = fit(width, long_side);
    sheet->height = fit(height, long_side);
    sheet->scaler = scaler_new(sheet->width, sheet->height, AV_PIX_FMT_RGB24);
    sheet->step = 1;
    return sheet;
}

struct sheet *sheet_free(struct sheet *sheet)
{
    if (!sheet)
        return NULL;
    for (int i = 0; i < sheet->n_kept; i++)
        free(sheet->kept[i]);
    scaler_free(sheet->scaler);
    free(sheet);
    return NULL;
}

static void thin_out(struct sheet *sheet)
{
    for (int i = 0; i < sheet->n_kept; i++) {
        if (i % 2 == 0)
            sheet->kept[i / 2] = sheet->kept[i];
        else
            free(sheet->kept[i]);
    }
    sheet->n_kept = (sheet->n_kept + 1) / 2;
    sheet->step *= 2;
}

static void copy_rows(uint8_t *to, ptrdiff_t to_step, const uint8_t *from, ptrdiff_t from_step,
                      const struct sheet *sheet)
{
    for (int y = 0; y < sheet->height; y++)
        memcpy(to + y * to_step, from + y * from_step, (size_t)sheet->width * 3);
}

int sheet_offer(struct sheet *sheet, const AVFrame *frame)
{
    AVFrame *small;
    int64_t index = sheet->n_offered++;
    if (index % sheet->step != 0)
        return 0;
    if (sheet->n_kept == KEPT_MAX)
        thin_out(sheet); /* this frame is of the new step, too: KEPT_MAX is even */
    int error = scaler_run(sheet->scaler, frame, &small);
    if (error < 0)
        return error;
    uint8_t *tile = must_calloc((size_t)sheet->height, (size_t)sheet->width * 3);
    copy_rows(tile, (ptrdiff_t)sheet->width * 3, small->data[0], small->linesize[0], sheet);
    sheet->kept[sheet->n_kept++] = tile;
    return 0;
}

static int draw(const struct sheet *sheet, int n_tiles, AVFrame *picture)
{
    picture->format = AV_PIX_FMT_RGB24;
    picture->width = SHEET_COLUMNS * sheet->width;
    picture->height = (n_tiles + SHEET_COLUMNS - 1) / SHEET_COLUMNS * sheet->height;
    int error = av_frame_get_buffer(picture, 0);
    if (error < 0)
        return error;
    ptrdiff_t step = picture->linesize[0];
    for (int y = 0; y < picture->height; y++) /* places without a tile are black */
        memset(picture->data[0] + y * step, 0, (size_t)picture->width * 3);
    for (int i = 0; i < n_tiles; i++) {
        ptrdiff_t x = (ptrdiff_t)(i % SHEET_COLUMNS) * sheet->width * 3;
        ptrdiff_t y = (ptrdiff_t)(i / SHEET_COLUMNS) * sheet->height;
        const uint8_t *tile = sheet->kept[i * sheet->n_kept / n_tiles];
        copy_rows(picture->data[0] + y * step + x, step, tile, (ptrdiff_t)sheet->width * 3, sheet);
    }
    return 0;
}

int sheet_write(const struct sheet *sheet, int fd)
{
    must(sheet->n_kept > 0);
    int n_tiles = sheet->n_kept < SHEET_TILES ? sheet->n_kept : SHEET_TILES;
    AVFrame *picture = av_frame_alloc();
    must(picture);
    int error = draw(sheet, n_tiles, picture);
    if (error >= 0)
        error = thumbnail_pack(picture, fd);
    av_frame_free(&picture);
    return error;
}

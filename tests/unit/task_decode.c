/* SPDX-License-Identifier: Apache-2.0
 *
 * Create requests as the clients of many relays write them. Requests stand here as JSON with
 * single quotes for double ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/json.h"
#include "base/must.h"
#include "task/step.h"
#include "task/unified.h"

static const struct unified_limits limits = {.images = 4, .prompt_bytes = 100, .duration_s = 30};

static json_t *parse(const char *text)
{
    char *quoted = must_strdup(text);
    for (char *p = quoted; *p != '\0'; p++)
        if (*p == '\'')
            *p = '"';
    json_t *json = json_loads(quoted, JSON_DECODE_ANY, NULL);
    if (json == NULL)
        fail_msg("bad test: %s", text);
    free(quoted);
    return json;
}

/* Decodes the least request with `fields` put over it. The caller frees both. */
static json_t *decode(const char *fields, size_t n_parts, struct unified_decoded *ret_decoded)
{
    struct unified_fault fault = {0};
    json_t *body = parse(fields), *least = parse("{'model':'m','prompt':'p'}");
    (void)json_object_update_missing(body, least);
    json_decref(least);
    if (unified_decode(body, n_parts, &limits, ret_decoded, &fault) != 0)
        fail_msg("%s: %s", fields, fault.message);
    return body;
}

static void the_least_request_gets_defaults(void **context)
{
    (void)context;
    struct unified_decoded decoded;
    json_t *body = decode("{}", 0, &decoded);
    const struct task_request *request = decoded.request;
    assert_string_equal(request->model, "m");
    assert_string_equal(request->prompt, "p");
    assert_string_equal(request->orientation, "portrait");
    assert_string_equal(request->size, "small");
    assert_string_equal(request->operation, "simple_compose");
    assert_int_equal(request->width, 352);
    assert_int_equal(request->height, 640);
    assert_int_equal(request->duration_s, 10);
    assert_int_equal(request->n_frames, 300);
    assert_int_equal(request->priority, 2);
    assert_int_equal(request->n_variants, 1);
    assert_false(request->has_seed || request->has_watermark_wish || request->watermark);
    assert_false(request->private_result || request->storyboard || request->enhance_prompt);
    assert_null(request->aspect_ratio);
    assert_null(request->tags);
    assert_int_equal(json_object_size(request->extra), 0);
    assert_int_equal(decoded.n_images, 0);
    unified_decoded_fini(&decoded);
    json_decref(body);
}

/* What a field of the request says, as text. */
static void describe(const struct task_request *r, const char *what, char ret_text[64])
{
    const struct {
        const char *what, *text;
    } texts[] = {
        {"model", r->model},
        {"prompt", r->prompt},
        {"orientation", r->orientation},
        {"size", r->size},
        {"ratio", r->aspect_ratio},
        {"title", r->title},
        {"style", r->style},
        {"negative", r->negative_prompt},
        {"character", r->character_url},
        {"stamps", r->character_timestamps},
    };
    const struct {
        const char *what;
        long long number;
    } numbers[] = {
        {"duration", r->duration_s},
        {"frames", r->n_frames},
        {"seed", r->has_seed ? r->seed : -1},
        {"priority", r->priority},
        {"watermark", r->has_watermark_wish ? r->watermark : -1},
        {"private", r->private_result},
        {"storyboard", r->storyboard},
        {"enhance", r->enhance_prompt},
        {"width", r->width},
        {"height", r->height},
        {"tags", (long long)json_array_size(r->tags)},
    };
    strcpy(ret_text, "(unknown field)");
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        if (strcmp(what, texts[i].what) == 0)
            (void)snprintf(ret_text, 64, "%s", texts[i].text != NULL ? texts[i].text : "null");
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        if (strcmp(what, numbers[i].what) == 0)
            (void)snprintf(ret_text, 64, "%lld", numbers[i].number);
}

/* A dialect may know what those want who do not say. */
static void what_is_not_said_is_what_the_dialect_says(void **context)
{
    (void)context;
    static const struct {
        const char *body;
        const char *model, *size;
        int duration_s, width, height;
    } rows[] = {
        {"{'prompt':'p'}", "usual", "720x1280", 4, 720, 1280},
        {"{'prompt':'p','model':'','size':null,'seconds':''}", "usual", "720x1280", 4, 720, 1280},
        {"{'prompt':'p','model':'m','seconds':'12'}", "m", "720x1280", 12, 720, 1280},
        {"{'prompt':'p','size':'1280x720'}", "usual", "1280x720", 4, 1280, 720},
        {"{'prompt':'p','aspect_ratio':'16:9'}", "usual", "small", 4, 640, 352},
        {"{'prompt':'p','orientation':'square'}", "usual", "small", 4, 480, 480},
        {"{'prompt':'p','hd':true}", "usual", "large", 4, 704, 1280},
    };
    struct unified_limits with = limits;
    with.defaults =
        (struct unified_defaults){.model = "usual", .duration_s = 4, .size = "720x1280"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct unified_decoded decoded;
        struct unified_fault fault = {0};
        json_t *body = parse(rows[i].body);
        if (unified_decode(body, 0, &with, &decoded, &fault) != 0)
            fail_msg("%s: %s", rows[i].body, fault.message);
        assert_string_equal(decoded.request->model, rows[i].model);
        assert_string_equal(decoded.request->size, rows[i].size);
        assert_int_equal(decoded.request->duration_s, rows[i].duration_s);
        assert_int_equal(decoded.request->width, rows[i].width);
        assert_int_equal(decoded.request->height, rows[i].height);
        unified_decoded_fini(&decoded);
        json_decref(body);
    }
    with.duration_s = 3; /* the operator's bound holds for it, too */
    struct unified_decoded decoded;
    struct unified_fault fault = {0};
    json_t *body = parse("{'prompt':'p'}");
    assert_int_equal(unified_decode(body, 0, &with, &decoded, &fault), 0);
    assert_int_equal(decoded.request->duration_s, 3);
    unified_decoded_fini(&decoded);
    json_decref(body);
}

static void many_spellings_say_one_thing(void **context)
{
    (void)context;
    static const struct {
        const char *fields, *what, *value;
    } rows[] = {
        {"{'model':'a/b:c'}", "model", "a/b:c"},
        {"{'prompt':' two words '}", "prompt", " two words "},
        {"{'width':640,'height':360}", "size", "640x360"},
        {"{'width':'640','height':'360'}", "width", "640"},
        {"{'width':640,'height':0}", "size", "small"},
        {"{'width':0,'height':0,'orientation':'landscape'}", "width", "640"},
        {"{'width':640,'height':360,'size':'large'}", "size", "large"},
        {"{'hd':true}", "size", "large"},
        {"{'hd':'true','aspect_ratio':'16:9'}", "width", "1280"},
        {"{'hd':false}", "size", "small"},
        {"{'hd':true,'size':'small'}", "size", "small"},
        {"{'duration':15}", "duration", "15"},
        {"{'duration':15}", "frames", "450"},
        {"{'duration':'15'}", "duration", "15"},
        {"{'duration':'15s'}", "duration", "15"},
        {"{'duration':15.0}", "duration", "15"},
        {"{'duration':'15.0'}", "duration", "15"},
        {"{'seconds':'8'}", "duration", "8"},
        {"{'video_length':6}", "duration", "6"},
        {"{'metadata':{'duration':7}}", "duration", "7"},
        {"{'duration':null,'seconds':9}", "duration", "9"},
        {"{'duration':'','seconds':9}", "duration", "9"},
        {"{'orientation':'Landscape'}", "orientation", "landscape"},
        {"{'orientation':'landscape'}", "width", "640"},
        {"{'orientation':'square'}", "height", "480"},
        {"{'size':'large'}", "width", "704"},
        {"{'size':'large'}", "size", "large"},
        {"{'resolution':'1080p'}", "height", "1280"},
        {"{'resolution':'1080p'}", "size", "1080p"},
        {"{'metadata':{'resolution':'1080P'}}", "height", "1280"},
        {"{'size':'1280x720'}", "orientation", "landscape"},
        {"{'size':'16x9'}", "width", "640"},
        {"{'aspect_ratio':'16:9'}", "orientation", "landscape"},
        {"{'aspectRatio':'16:9'}", "width", "640"},
        {"{'ratio':'16:9'}", "width", "640"},
        {"{'metadata':{'aspect_ratio':'16:9'}}", "width", "640"},
        {"{'metadata':{'aspectRatio':'16:9'}}", "width", "640"},
        {"{'metadata':{'ratio':'16:9'}}", "width", "640"},
        {"{'video_config':{'aspect_ratio':'16:9'}}", "width", "640"},
        {"{'ratio':'adaptive'}", "ratio", "null"},
        {"{'aspect_ratio':'auto'}", "width", "352"},
        {"{'aspect_ratio':'AUTO'}", "ratio", "null"},
        {"{'aspect_ratio':'Default'}", "ratio", "null"},
        {"{'aspect_ratio':'original'}", "ratio", "null"},
        {"{'aspect_ratio':''}", "ratio", "null"},
        {"{'aspect_ratio':'','ratio':'1:1'}", "ratio", "1:1"},
        {"{'aspect_ratio':'16x9'}", "ratio", "16:9"},
        {"{'aspect_ratio':'16X9'}", "width", "640"},
        {"{'aspect_ratio':'1:1'}", "ratio", "1:1"},
        {"{'seed':42}", "seed", "42"},
        {"{'seed':'42'}", "seed", "42"},
        {"{'seed':0}", "seed", "0"},
        {"{'seed':-1}", "seed", "-1"},
        {"{'seed':null}", "seed", "-1"},
        {"{'seed':9007199254740991}", "seed", "9007199254740991"},
        {"{'priority':9}", "priority", "9"},
        {"{'priority':'0'}", "priority", "0"},
        {"{'watermark':true}", "watermark", "1"},
        {"{'watermark':'true'}", "watermark", "1"},
        {"{'watermark':'1'}", "watermark", "1"},
        {"{'watermark':1}", "watermark", "1"},
        {"{'watermark':false}", "watermark", "0"},
        {"{'watermark':'False'}", "watermark", "0"},
        {"{'watermark':0}", "watermark", "0"},
        {"{'watermark':null}", "watermark", "-1"},
        {"{'private':'true'}", "private", "1"},
        {"{'storyboard':true}", "storyboard", "1"},
        {"{'storyboard':[{'prompt':'a','duration':5}]}", "storyboard", "1"},
        {"{'storyboard':false}", "storyboard", "0"},
        {"{'enhance_prompt':1}", "enhance", "1"},
        {"{'title':'T'}", "title", "T"},
        {"{'style':'anime'}", "style", "anime"},
        {"{'negative_prompt':'fog'}", "negative", "fog"},
        {"{'character_url':'https://example.com/c.mp4'}", "character", "https://example.com/c.mp4"},
        {"{'character_timestamps':'1,3'}", "stamps", "1,3"},
        {"{'tags':['a','b']}", "tags", "2"},
        {"{'tags':'a'}", "tags", "1"},
        {"{'tags':[]}", "tags", "0"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct unified_decoded decoded;
        char text[64];
        json_t *body = decode(rows[i].fields, 0, &decoded);
        describe(decoded.request, rows[i].what, text);
        if (strcmp(text, rows[i].value) != 0)
            fail_msg("%s: %s is %s", rows[i].fields, rows[i].what, text);
        unified_decoded_fini(&decoded);
        json_decref(body);
    }
}

static void faults_name_their_parameter(void **context)
{
    (void)context;
    static const struct {
        const char *body, *param, *says;
    } rows[] = {
        {"[]", "", "object"},
        {"'text'", "", "object"},
        {"{'prompt':'p'}", "model", "required"},
        {"{'model':null,'prompt':'p'}", "model", "required"},
        {"{'model':'','prompt':'p'}", "model", "required"},
        {"{'model':7,'prompt':'p'}", "model", "string"},
        {"{'model':'a b','prompt':'p'}", "model", "spaces"},
        {"{'model':'a\\n','prompt':'p'}", "model", "spaces"},
        {"{'model':'a\\u00a0b','prompt':'p'}", "model", "spaces"},
        {"{'model':'a\\u0085b','prompt':'p'}", "model", "spaces"},
        {"{'model':'a\\u2028b','prompt':'p'}", "model", "spaces"},
        {"{'model':'a\\u3000b','prompt':'p'}", "model", "spaces"},
        {"{'model':'0123456789012345678901234567890123456789012345678901234567890123456789"
         "01234567890123456789012345678901234567890123456789012345678','prompt':'p'}",
         "model", "128 bytes"},
        {"{'model':'m'}", "prompt", "required"},
        {"{'model':'m','prompt':''}", "prompt", "empty"},
        {"{'model':'m','prompt':' \\n\\t'}", "prompt", "white space"},
        {"{'model':'m','prompt':['p']}", "prompt", "string"},
        {"{'model':'m','prompt':'0123456789012345678901234567890123456789012345678901234567890123"
         "4567890123456789012345678901234567890'}",
         "prompt", "100 bytes"},
        {"{'model':'m','prompt':'p','duration':0}", "duration", "from 1 to 30"},
        {"{'model':'m','prompt':'p','duration':31}", "duration", "from 1 to 30"},
        {"{'model':'m','prompt':'p','duration':-5}", "duration", "from 1 to 30"},
        {"{'model':'m','prompt':'p','duration':1.5}", "duration", "whole"},
        {"{'model':'m','prompt':'p','duration':1e300}", "duration", "whole"},
        {"{'model':'m','prompt':'p','duration':'ten'}", "duration", "whole"},
        {"{'model':'m','prompt':'p','duration':'10 s x'}", "duration", "whole"},
        {"{'model':'m','prompt':'p','duration':'99999999999999999999'}", "duration", "whole"},
        {"{'model':'m','prompt':'p','duration':true}", "duration", "whole"},
        {"{'model':'m','prompt':'p','seconds':'99'}", "seconds", "from 1 to 30"},
        {"{'model':'m','prompt':'p','size':'medium'}", "size", "small"},
        {"{'model':'m','prompt':'p','size':720}", "size", "string"},
        {"{'model':'m','prompt':'p','resolution':'8K'}", "resolution", "small"},
        {"{'model':'m','prompt':'p','orientation':'tall'}", "orientation", "portrait"},
        {"{'model':'m','prompt':'p','aspect_ratio':'9:0'}", "aspect_ratio", "W:H"},
        {"{'model':'m','prompt':'p','metadata':{'ratio':'99:1'}}", "metadata.ratio", "W:H"},
        {"{'model':'m','prompt':'p','aspect_ratio':'99x1'}", "aspect_ratio", "W:H"},
        {"{'model':'m','prompt':'p','aspect_ratio':'16x'}", "aspect_ratio", "W:H"},
        {"{'model':'m','prompt':'p','aspect_ratio':'banana'}", "aspect_ratio", "adaptive"},
        {"{'model':'m','prompt':'p','aspect_ratio':'automatic'}", "aspect_ratio", "W:H"},
        {"{'model':'m','prompt':'p','aspect_ratio':' '}", "aspect_ratio", "16:9"},
        {"{'model':'m','prompt':'p','aspect_ratio':'x9'}", "aspect_ratio", "16:9"},
        {"{'model':'m','prompt':'p','metadata':{'ratio':'banana'}}", "metadata.ratio", "adaptive"},
        {"{'model':'m','prompt':'p','width':-1,'height':360}", "width", "whole"},
        {"{'model':'m','prompt':'p','width':10,'height':360}", "size", "WIDTHxHEIGHT"},
        {"{'model':'m','prompt':'p','hd':'maybe'}", "hd", "true or false"},
        {"{'model':'m','prompt':'p','seed':-2}", "seed", "whole"},
        {"{'model':'m','prompt':'p','seed':9007199254740992}", "seed", "9007199254740991"},
        {"{'model':'m','prompt':'p','priority':10}", "priority", "from 0 to 9"},
        {"{'model':'m','prompt':'p','watermark':'maybe'}", "watermark", "true or false"},
        {"{'model':'m','prompt':'p','watermark':2}", "watermark", "true or false"},
        {"{'model':'m','prompt':'p','private':[]}", "private", "true or false"},
        {"{'model':'m','prompt':'p','storyboard':{}}", "storyboard", "true or false"},
        {"{'model':'m','prompt':'p','title':1}", "title", "string"},
        {"{'model':'m','prompt':'p','tags':{'a':1}}", "tags", "list"},
        {"{'model':'m','prompt':'p','tags':[1]}", "tags", "string"},
        {"{'model':'m','prompt':'p','character_url':'ftp://example.com/c'}", "character_url",
         "http"},
        {"{'model':'m','prompt':'p','images':7}", "images", "URL"},
        {"{'model':'m','prompt':'p','images':[7]}", "images", "URL"},
        {"{'model':'m','prompt':'p','images':['']}", "images", "empty text"},
        {"{'model':'m','prompt':'p','images':['aa',' \\n']}", "images", "empty text"},
        {"{'model':'m','prompt':'p','images':'[\\'\\']'}", "images", "empty text"},
        {"{'model':'m','prompt':'p','metadata':{'reference_images':['']}}", "reference_images",
         "empty text"},
        {"{'model':'m','prompt':'p','images':[{}]}", "images", "url"},
        {"{'model':'m','prompt':'p','images':['file:///etc/passwd']}", "images", "http"},
        {"{'model':'m','prompt':'p','images':['FTP://example.com/a.png']}", "images", "http"},
        {"{'model':'m','prompt':'p','images':['blob:https://example.com/1']}", "images", "http"},
        {"{'model':'m','prompt':'p','images':['https://example.com/a b.png']}", "images", "spaces"},
        {"{'model':'m','prompt':'p','images':['aa','bb','cc','dd','ee']}", "images", "4 images"},
        {"{'model':'m','prompt':'p','image':['aa','bb','cc','dd'],'last_frame':'ee'}", "last_frame",
         "4 images"},
        {"{'model':'m','prompt':'p','images':[[[[[['aa']]]]]]}", "images", "nested"},
        {"{'model':'m','prompt':'p','images':[{'$part':0}]}", "images", "URL"},
        {"{'model':'m','prompt':'p','other':{'$part':0}}", "$part", "field"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct unified_decoded decoded;
        struct unified_fault fault = {0};
        json_t *body = parse(rows[i].body);
        if (unified_decode(body, 0, &limits, &decoded, &fault) != 1)
            fail_msg("%s passed", rows[i].body);
        assert_string_equal(fault.code, "invalid_request");
        assert_string_equal(fault.param, rows[i].param);
        if (strstr(fault.message, rows[i].says) == NULL)
            fail_msg("%s: %s", rows[i].body, fault.message);
        json_decref(body);
    }
}

/* The images of a request in one line: role, then U url, T text or P part, and the text. */
static void list_images(const struct unified_decoded *decoded, char ret_text[512])
{
    size_t length = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < decoded->n_images; i++) {
        const struct unified_image *image = &decoded->images[i];
        char part[24];
        (void)snprintf(part, sizeof part, "%zu", image->part);
        length += (size_t)snprintf(ret_text + length, 512 - length, "%s%c%c%s", i > 0 ? " " : "",
                                   "ifl r"[image->role == TASK_IMAGE_REFERENCE ? 4 : image->role],
                                   image -> text == NULL    ? 'P'
                                            : image->is_url ? 'U'
                                                            : 'T',
                                   image->text == NULL ? part : image->text);
    }
}

#define A "https://example.com/a"
#define B "https://example.com/b"

static void images_come_in_many_forms(void **context)
{
    (void)context;
    static const struct {
        const char *fields, *images;
    } rows[] = {
        {"{'images':null}", ""},
        {"{'images':[]}", ""},
        {"{'images':''}", ""},
        {"{'images':[null]}", ""},
        {"{'image':''}", ""},
        {"{'image':' '}", ""},
        {"{'image':'','images':['" A "']}", "iU" A},
        {"{'images':'" A "'}", "iU" A},
        {"{'images':['" A "','" B "']}", "iU" A " iU" B},
        {"{'images':['" A "','" A "']}", "iU" A " iU" A},
        {"{'images':[{'url':'" A "'}]}", "iU" A},
        {"{'images':[{'image_url':'" A "'}]}", "iU" A},
        {"{'images':[{'type':'image_url','image_url':{'url':'" A "'}}]}", "iU" A},
        {"{'images':{'url':'" A "'}}", "iU" A},
        {"{'image':'" A "'}", "iU" A},
        {"{'image_url':'" A "'}", "iU" A},
        {"{'image_urls':['" A "']}", "iU" A},
        {"{'input_reference':'" A "'}", "iU" A},
        {"{'input_reference':{'image_url':'" A "'}}", "iU" A},
        {"{'input_references':['" A "']}", "iU" A},
        {"{'input_reference[image_url]':'" A "'}", "iU" A},
        {"{'input_reference[]':['" A "','" B "']}", "iU" A " iU" B},
        {"{'input_reference[file_id]':'file_1'}", "iTfile_1"},
        {"{'input_reference':{'file_id':'file_1'}}", "iTfile_1"},
        {"{'input_reference':'{\\'file_id\\':\\'file_1\\'}'}", "iTfile_1"},
        {"{'input_reference':{'image_url':'','file_id':'file_1'}}", "iTfile_1"},
        {"{'input_reference':{'image_url':'" A "','file_id':null}}", "iU" A},
        {"{'img_url':'" A "'}", "iU" A},
        {"{'image':'" A "','image_tail':'" B "'}", "iU" A " lU" B},
        {"{'images[]':'" A "'}", "iU" A},
        {"{'images[0]':'" A "','images[1]':'" B "'}", "iU" A " iU" B},
        {"{'images':['" A "'],'image':'" A "'}", "iU" A},
        {"{'image':'" B "','images':['" A "']}", "iU" A " iU" B},
        {"{'first_frame_image':'" A "','last_frame_image':'" B "'}", "fU" A " lU" B},
        {"{'images':['" A "'],'metadata':{'image_end':'" B "'}}", "iU" A " lU" B},
        {"{'metadata':{'lastFrame':{'url':'" B "'}}}", "lU" B},
        {"{'reference_images':[{'url':'" A "'}]}", "rU" A},
        {"{'metadata':{'reference_images':[{'url':'" A "'}]}}", "rU" A},
        {"{'metadata':{'referenceImages':[{'url':'" A "'}]}}", "rU" A},
        {"{'images':['HTTP://EXAMPLE.COM/A']}", "iUHTTP://EXAMPLE.COM/A"},
        {"{'images':[' \\n" A "']}", "iU" A},
        {"{'images':['data:image/png;base64,iVBORw0KGgo=']}",
         "iTdata:image/png;base64,iVBORw0KGgo="},
        {"{'images':['iVBORw0KGgo=']}", "iTiVBORw0KGgo="},
        {"{'images':['/9j/4AAQ']}", "iT/9j/4AAQ"},
        {"{'input_reference':{'$part':1}}", "iP1"},
        {"{'input_reference':[{'$part':0},'" A "',{'$part':1}]}", "iP0 iU" A " iP1"},
        {"{'first_frame_image':{'$part':0}}", "fP0"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct unified_decoded decoded;
        char text[512];
        json_t *body = decode(rows[i].fields, 2, &decoded);
        list_images(&decoded, text);
        if (strcmp(text, rows[i].images) != 0)
            fail_msg("%s: «%s»", rows[i].fields, text);
        assert_int_equal(json_object_size(decoded.request->extra), 0);
        unified_decoded_fini(&decoded);
        json_decref(body);
    }
}

/* Form fields carry lists and objects as text; what images borrow stays alive. */
static void lists_as_text_are_read(void **context)
{
    (void)context;
    struct unified_decoded decoded;
    struct unified_fault fault;
    char text[512];
    json_t *body = json_pack("{s:s,s:s,s:s,s:s}", "model", "m", "prompt", "p", "images",
                             "[\"" A "\",{\"url\":\"" B "\"}]", "metadata",
                             "{\"image_end\":\"" A "\",\"mode\":\"x\",\"ratio\":\"1:1\"}");
    assert_int_equal(unified_decode(body, 0, &limits, &decoded, &fault), 0);
    list_images(&decoded, text);
    assert_string_equal(text, "iU" A " iU" B " lU" A);
    char *extra = json_canonical(decoded.request->extra);
    assert_string_equal(extra, "{\"metadata\":{\"mode\":\"x\",\"ratio\":\"1:1\"}}");
    assert_int_equal(decoded.request->width, 480);
    free(extra);
    unified_decoded_fini(&decoded);
    json_decref(body);
}

/* `count` empty lists as text: "[[],[],…]". */
static char *empty_lists(size_t count)
{
    char *text = must_calloc(1, 3 * count + 2);
    for (size_t i = 0; i < count; i++)
        memcpy(text + 1 + 3 * i, "[],", 3);
    text[0] = '[';
    text[3 * count] = ']';
    return text;
}

/* All that a request brings as text is parsed within one limit, for it is kept: else a body of
 * megabytes would become gigabytes. */
static void lists_as_text_share_one_limit(void **context)
{
    (void)context;
    char *text = empty_lists(JSON_MEMBERS_LIMIT / 10);
    for (int n_texts = 10; n_texts <= 20; n_texts += 10) {
        struct unified_decoded decoded;
        struct unified_fault fault;
        json_t *images = json_array();
        for (int i = 0; i < n_texts; i++)
            assert_int_equal(json_array_append_new(images, json_string(text)), 0);
        json_t *body = json_pack("{s:s,s:s,s:o}", "model", "m", "prompt", "p", "images", images);
        int result = unified_decode(body, 0, &limits, &decoded, &fault);
        assert_int_equal(result, n_texts > 10);
        if (result == 0) {
            assert_int_equal(decoded.n_images, 0);
            unified_decoded_fini(&decoded);
        } else {
            assert_string_equal(fault.param, "images");
        }
        json_decref(body);
    }
    free(text);
}

static void file_parts_must_exist(void **context)
{
    (void)context;
    static const char *const parts[] = {"2", "-1", "1.0", "'0'"};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        char text[200];
        struct unified_decoded decoded;
        struct unified_fault fault;
        (void)snprintf(text, sizeof text,
                       "{'model':'m','prompt':'p','input_reference':{'$part':%s}}", parts[i]);
        json_t *body = parse(text);
        assert_int_equal(unified_decode(body, 2, &limits, &decoded, &fault), 1);
        assert_string_equal(fault.param, "input_reference");
        json_decref(body);
    }
    struct unified_decoded decoded;
    json_t *body = decode("{'attachment':{'$part':0},'n':1}", 1, &decoded);
    char *extra = json_canonical(decoded.request->extra);
    assert_string_equal(extra, "{\"n\":1}"); /* a part that no field of ours names is left out */
    free(extra);
    unified_decoded_fini(&decoded);
    json_decref(body);
}

static void unknown_fields_are_kept_as_they_came(void **context)
{
    (void)context;
    struct unified_decoded decoded;
    json_t *body = decode("{'guidance':0.5,'sdedit':null,'type':1,'enable_upsample':'true',"
                          "'images':['" A "'],'storyboard':[{'prompt':'x'}],'duration':5,"
                          "'metadata':{'image_end':'" B "','mode':'std','ratio':'1:1'}}",
                          0, &decoded);
    char *extra = json_canonical(decoded.request->extra);
    assert_string_equal(extra, "{\"enable_upsample\":\"true\",\"guidance\":0.5,\"metadata\":"
                               "{\"mode\":\"std\",\"ratio\":\"1:1\"},\"sdedit\":null,"
                               "\"storyboard\":[{\"prompt\":\"x\"}],\"type\":1}");
    free(extra);
    unified_decoded_fini(&decoded);
    json_decref(body);
}

static void large_unknown_fields_are_not_kept(void **context)
{
    (void)context;
    struct unified_decoded decoded;
    struct unified_fault fault;
    char *large = must_calloc(1, 70001);
    memset(large, 'x', 70000);
    json_t *body =
        json_pack("{s:s,s:s,s:s,s:i}", "model", "m", "prompt", "p", "blob", large, "small", 1);
    assert_int_equal(unified_decode(body, 0, &limits, &decoded, &fault), 0);
    assert_null(json_object_get(decoded.request->extra, "blob"));
    assert_non_null(json_object_get(decoded.request->extra, "small"));
    unified_decoded_fini(&decoded);
    json_decref(body);
    free(large);
}

/* json_parse() refuses NUL, but form fields are built without it. */
static void nul_is_refused_everywhere(void **context)
{
    (void)context;
    static const char *const keys[] = {"prompt", "title", "images", "size"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        struct unified_decoded decoded;
        struct unified_fault fault;
        json_t *body = parse("{'model':'m','prompt':'p'}");
        (void)json_object_set_new(body, keys[i], json_stringn("a\0b", 3));
        assert_int_equal(unified_decode(body, 0, &limits, &decoded, &fault), 1);
        assert_string_equal(fault.param, keys[i]);
        json_decref(body);
    }
    struct unified_decoded decoded;
    struct unified_fault fault;
    json_t *body = parse("{'model':'m','prompt':'p'}");
    (void)json_object_set_new(body, "unknown", json_stringn("a\0b", 3));
    assert_int_equal(unified_decode(body, 0, &limits, &decoded, &fault), 0);
    assert_int_equal(json_object_size(decoded.request->extra), 0);
    unified_decoded_fini(&decoded);
    json_decref(body);
}

static void the_form_and_json_say_the_same(void **context)
{
    (void)context;
    struct unified_decoded json_decoded, form_decoded;
    json_t *json =
        decode("{'duration':15,'watermark':true,'seed':7,'size':'large'}", 0, &json_decoded);
    json_t *form =
        decode("{'size':'large','seed':'7','watermark':'true','seconds':'15'}", 0, &form_decoded);
    uint8_t a[32], b[32];
    task_request_digest(json_decoded.request, a);
    task_request_digest(form_decoded.request, b);
    assert_memory_equal(a, b, sizeof a);
    unified_decoded_fini(&json_decoded);
    unified_decoded_fini(&form_decoded);
    json_decref(json);
    json_decref(form);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_request_gets_defaults),
        cmocka_unit_test(what_is_not_said_is_what_the_dialect_says),
        cmocka_unit_test(many_spellings_say_one_thing),
        cmocka_unit_test(faults_name_their_parameter),
        cmocka_unit_test(images_come_in_many_forms),
        cmocka_unit_test(lists_as_text_are_read),
        cmocka_unit_test(lists_as_text_share_one_limit),
        cmocka_unit_test(file_parts_must_exist),
        cmocka_unit_test(unknown_fields_are_kept_as_they_came),
        cmocka_unit_test(large_unknown_fields_are_not_kept),
        cmocka_unit_test(nul_is_refused_everywhere),
        cmocka_unit_test(the_form_and_json_say_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate create`. Every invocation has one idempotency key for all its tries, so that a try
 * whose answer got lost never makes a second task. One thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/id.h"
#include "base/json.h"
#include "base/must.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/tasks.h"
#include "cli/await.h"

static const char COMMAND[] = "create";
static const char DEFAULT_MODEL[] = "sora-2";

static const char HELP[] =
    "Usage: filmgate create [OPTION]... PROMPT\n"
    "       filmgate create [OPTION]... --body FILE\n"
    "\n"
    "Creates a video task and prints its id. PROMPT is one argument; `-` reads it from\n"
    "standard input, without the line's end behind it.\n"
    "\n"
    "Options:\n"
    "  -m, --model MODEL        the model (default: sora-2)\n"
    "  -i, --image FILE|URL|ID  an input image, ID: of one that was uploaded (file_…); may be\n"
    "                           given several times\n"
    "      --orientation WORD   portrait, landscape or square (server's default: portrait)\n"
    "      --size SIZE          small, large, 720P, 1080P or WIDTHxHEIGHT (default: small)\n"
    "      --duration SECONDS   length of the video (server's default)\n"
    "      --aspect-ratio W:H   such as 16:9; outweighs the orientation\n"
    "      --seed NUMBER        the same seed and request give the same video\n"
    "      --watermark          ask for a file with a visible mark\n"
    "      --title TEXT         a title for lists\n"
    "      --body FILE          send this JSON as the request, as it stands; `-` reads it from\n"
    "                           standard input. Instead of PROMPT and all options above\n"
    "      --idempotency-key K  a repeated request with this key makes no second task\n"
    "                           (default: a fresh one for this invocation)\n"
    "  -w, --wait               wait for the end; on a terminal with a progress line\n"
    "  -o, --output DIR         wait, then save video.mp4, md.mp4, preview.gif,\n"
    "                           thumbnail.webp and answer.json in DIR\n"
    "      --json               print the whole answer instead of the id\n" CLI_SERVER_OPTIONS_HELP
    "\n"
    "A request that meets no server, or one that asks to come back later, is tried three\n"
    "times. Ctrl-C while waiting leaves the task running.\n"
    "\n" CLI_SERVER_ENVIRONMENT_HELP "\n"
    "Examples:\n"
    "  filmgate create \"a paper boat on a rainy street\" --wait --output boat\n"
    "  filmgate create \"they come alive\" -i toys.jpg --orientation landscape\n"
    "  id=$(filmgate create - < prompt.txt) && filmgate watch \"$id\"\n"
    "\n" CLI_EXIT_HELP;

enum {
    PROMPT_BYTES = 1024 * 1024,    /* from standard input */
    BODY_BYTES = 64 * 1024 * 1024, /* of --body; what a server takes is its setting */
    IMAGES_MOST = 32,
    PARTS_MOST = IMAGES_MOST + 16,
    TRIES = 3,
    PAUSE_MS = 1000,
    PAUSE_MOST_S = 30,
    SERVICE_UNAVAILABLE = 503,
    HINT_BYTES = 1024,
};

enum option_letter {
    OPTION_ORIENTATION = CLIENT_OPTION_NEXT,
    OPTION_SIZE,
    OPTION_DURATION,
    OPTION_ASPECT_RATIO,
    OPTION_SEED,
    OPTION_WATERMARK,
    OPTION_TITLE,
    OPTION_IDEMPOTENCY_KEY,
    OPTION_BODY,
};

static const struct option LONG_OPTIONS[] = {
    {"model", required_argument, NULL, 'm'},
    {"image", required_argument, NULL, 'i'},
    {"orientation", required_argument, NULL, OPTION_ORIENTATION},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"aspect-ratio", required_argument, NULL, OPTION_ASPECT_RATIO},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"watermark", no_argument, NULL, OPTION_WATERMARK},
    {"title", required_argument, NULL, OPTION_TITLE},
    {"idempotency-key", required_argument, NULL, OPTION_IDEMPOTENCY_KEY},
    {"body", required_argument, NULL, OPTION_BODY},
    {"wait", no_argument, NULL, 'w'},
    {"output", required_argument, NULL, 'o'},
    CLIENT_OPTIONS};

enum { FIELDS = 7 };

static const long long NUMBER_MOST = (1LL << 53) - 1; /* whole in every JSON reader */

/* A field of the request that is sent only when asked for. */
struct field {
    int option;
    const char *name;
    const char *number; /* what a number must be; NULL: a text or flag. The server knows the rest */
    bool is_flag;
};

static const struct field FIELD_TABLE[FIELDS] = {
    {OPTION_ORIENTATION, "orientation", NULL, false},
    {OPTION_SIZE, "size", NULL, false},
    {OPTION_DURATION, "duration", "a whole number of seconds", false},
    {OPTION_ASPECT_RATIO, "aspect_ratio", NULL, false},
    {OPTION_SEED, "seed", "a whole number from 0 to 9007199254740991", false},
    {OPTION_WATERMARK, "watermark", NULL, true},
    {OPTION_TITLE, "title", NULL, false},
};

struct wish {
    const char *prompt;
    const char *model;          /* NULL: not asked */
    const char *body_file;      /* NULL: the request is made of the other fields */
    const struct buf *body;     /* what stands in it */
    const char *fields[FIELDS]; /* NULL: not asked */
    const char *images[IMAGES_MOST];
    size_t n_images;
    bool has_file; /* one of the images at least */
    bool wait;
    const char *output, *idempotency_key;
    struct client_order server;
};

/* ---- options ---- */

/* A link, or the id of an image that was uploaded: it goes as it is. */
static bool is_link(const char *image)
{
    return id_is_typeid(image, "file") || strncasecmp(image, "http://", 7) == 0 ||
           strncasecmp(image, "https://", 8) == 0 || strncasecmp(image, "data:", 5) == 0;
}

static int add_image(struct wish *wish, const char *image)
{
    struct stat status;
    if (wish->n_images == IMAGES_MOST)
        return cli_complain_usage(COMMAND, "there are more than %d images", IMAGES_MOST);
    if (!is_link(image)) {
        if (stat(image, &status) != 0)
            return cli_complain(CLI_LOCAL, "the image \"%s\" cannot be read: %s", image,
                                strerror(errno));
        if (!S_ISREG(status.st_mode))
            return cli_complain(CLI_LOCAL, "the image \"%s\" is not a file", image);
        if (access(image, R_OK) != 0)
            return cli_complain(CLI_LOCAL, "the image \"%s\" cannot be read: %s", image,
                                strerror(errno));
        if (status.st_size == 0)
            return cli_complain(CLI_LOCAL, "the image \"%s\" is empty", image);
        wish->has_file = true;
    }
    wish->images[wish->n_images++] = image;
    return CLI_OK;
}

static int set_field(struct wish *wish, int option, const char *value)
{
    for (size_t i = 0; i < FIELDS; i++) {
        const struct field *field = &FIELD_TABLE[i];
        long long number;
        if (field->option != option)
            continue;
        if (field->number != NULL && !cli_parse_number(value, 0, NUMBER_MOST, &number))
            return cli_complain_usage(COMMAND, "--%s must be %s, not \"%s\"", field->name,
                                      field->number, value);
        wish->fields[i] = field->is_flag ? "true" : value;
        return CLI_OK;
    }
    return CLI_USAGE;
}

static int take_option(void *context, int option)
{
    struct wish *wish = context;
    switch (option) {
    case 'm':
        wish->model = optarg;
        return CLI_OK;
    case 'i':
        return add_image(wish, optarg);
    case 'w':
        wish->wait = true;
        return CLI_OK;
    case 'o':
        wish->output = optarg;
        wish->wait = true;
        return CLI_OK;
    case OPTION_IDEMPOTENCY_KEY:
        wish->idempotency_key = optarg;
        return CLI_OK;
    case OPTION_BODY:
        wish->body_file = optarg;
        return CLI_OK;
    default:
        return client_take_option(&wish->server, option) == CLI_OK
                   ? CLI_OK
                   : set_field(wish, option, optarg);
    }
}

/* A whole body leaves nothing to ask for. */
static int check_body(const struct wish *wish, int n_arguments)
{
    if (n_arguments > 0)
        return cli_complain_usage(COMMAND, "--body holds the prompt: give no other");
    bool has_field = wish->model != NULL || wish->n_images > 0;
    for (size_t i = 0; i < FIELDS; i++)
        has_field |= wish->fields[i] != NULL;
    if (has_field)
        return cli_complain_usage(COMMAND, "--body holds the whole request: options such as "
                                           "--model and --image belong in it");
    return CLI_OK;
}

static int check_wish(struct wish *wish, int argc, char **argv)
{
    if (wish->body_file != NULL)
        return check_body(wish, argc - optind);
    if (optind == argc)
        return cli_complain_usage(COMMAND, "the prompt is missing");
    if (argc - optind > 1)
        return cli_complain_usage(COMMAND, "the prompt must be one argument: put it in quotes");
    wish->prompt = argv[optind];
    if (wish->model == NULL)
        wish->model = DEFAULT_MODEL;
    return CLI_OK;
}

/* The idempotency key goes into a header, and the server takes this much. */
static bool is_idempotency_key(const char *key)
{
    size_t length = strlen(key);
    for (size_t i = 0; i < length; i++) {
        if (key[i] < ' ' || key[i] > '~')
            return false;
    }
    return length >= 1 && length <= 255;
}

/* What stands in files or comes from standard input, into `text`. */
static int read_input(struct wish *wish, struct buf *text)
{
    if (wish->body_file != NULL) {
        buf_init(text, BODY_BYTES);
        wish->body = text;
        return input_read(wish->body_file, "the request body", text);
    }
    must(wish->prompt != NULL); /* the options were read */
    buf_init(text, PROMPT_BYTES);
    if (strcmp(wish->prompt, "-") != 0)
        return codec_is_utf8(wish->prompt, strlen(wish->prompt))
                   ? CLI_OK
                   : cli_complain(CLI_LOCAL, "the prompt is not a text in UTF-8");
    int status = input_read_prompt(text);
    wish->prompt = buf_text(text);
    return status;
}

/* ---- the request ---- */

static json_t *make_json(const struct wish *wish)
{
    json_t *body = json_object();
    json_set_text(body, "model", wish->model);
    json_set_text(body, "prompt", wish->prompt);
    json_t *images = json_array();
    for (size_t i = 0; i < wish->n_images; i++)
        json_array_append_new(images, json_string(wish->images[i]));
    json_set(body, "images", images);
    for (size_t i = 0; i < FIELDS; i++) {
        const struct field *field = &FIELD_TABLE[i];
        if (wish->fields[i] == NULL)
            continue;
        if (field->is_flag)
            json_set(body, field->name, json_true());
        else if (field->number != NULL)
            json_set(body, field->name, json_integer(strtoll(wish->fields[i], NULL, 10)));
        else
            json_set_text(body, field->name, wish->fields[i]);
    }
    return body;
}

static size_t make_parts(const struct wish *wish, struct client_part parts[PARTS_MOST])
{
    size_t count = 0;
    parts[count++] = (struct client_part){"model", wish->model, NULL};
    parts[count++] = (struct client_part){"prompt", wish->prompt, NULL};
    for (size_t i = 0; i < FIELDS; i++) {
        if (wish->fields[i] != NULL)
            parts[count++] = (struct client_part){FIELD_TABLE[i].name, wish->fields[i], NULL};
    }
    for (size_t i = 0; i < wish->n_images; i++) {
        const char *image = wish->images[i];
        parts[count++] = is_link(image) ? (struct client_part){"input_reference", image, NULL}
                                        : (struct client_part){"input_reference", NULL, image};
    }
    return count;
}

/* No connection, or a server that says «later»: the only failures that another try may mend. */
static bool can_try_again(enum client_outcome outcome, const struct client_answer *answer)
{
    return outcome == CLIENT_AWAY ||
           (outcome == CLIENT_TROUBLE && answer->status == SERVICE_UNAVAILABLE);
}

static int64_t pause_after(int tries, const struct client_answer *answer)
{
    if (answer->retry_after_s < 0)
        return (int64_t)tries * PAUSE_MS;
    return (answer->retry_after_s < PAUSE_MOST_S ? answer->retry_after_s : PAUSE_MOST_S) * 1000;
}

static enum client_outcome send_call(struct client *client, const struct client_call *call,
                                     struct client_answer *ret_answer)
{
    bool may_have_arrived = false; /* by any of the tries */
    for (int tries = 1;; tries++) {
        enum client_outcome outcome = client_call(client, call, ret_answer);
        may_have_arrived |= ret_answer->may_have_arrived;
        ret_answer->may_have_arrived = may_have_arrived;
        if (tries == TRIES || !can_try_again(outcome, ret_answer))
            return outcome;
        int64_t pause_ms = pause_after(tries, ret_answer);
        client_answer_fini(ret_answer);
        if (!client_pause(client, pause_ms))
            return CLIENT_INTERRUPTED;
    }
}

static enum client_outcome send_wish(struct client *client, const struct wish *wish,
                                     struct client_answer *ret_answer)
{
    struct client_part parts[PARTS_MOST];
    bool is_made = wish->body == NULL && !wish->has_file;
    CLEANUP(json_unref_pointer) json_t *body = is_made ? make_json(wish) : NULL;
    const struct client_call call = {
        .path = "/v1/video/create",
        .json = body,
        .text = wish->body,
        .parts = parts,
        .n_parts = wish->has_file ? make_parts(wish, parts) : 0,
        .idempotency_key = wish->idempotency_key,
    };
    return send_call(client, &call, ret_answer);
}

/* ---- the command ---- */

static void print_result(const struct wish *wish, const json_t *answer, const char *id)
{
    if (wish->server.json)
        cli_print_json(answer);
    else
        puts(id);
    fflush(stdout);
}

static int finish(struct client *client, const struct wish *wish, const char *id)
{
    CLEANUP(json_unref_pointer) json_t *view = NULL;
    int status = await_end(client, id, NULL, &view);
    if (status != CLI_OK)
        return status;
    status = await_verdict(view);
    await_explain(view);
    if (status == CLI_OK && wish->output != NULL)
        status = output_save(client, view, wish->output);
    else if (status == CLI_OK && !wish->server.json && json_text(view, "video_url") != NULL)
        fprintf(stderr, "video: %s\n", json_text(view, "video_url"));
    print_result(wish, view, id);
    return status;
}

static int explain(const struct wish *wish, enum client_outcome outcome,
                   struct client_answer *answer)
{
    CLEANUP(buf_fini) struct buf hint;
    buf_init(&hint, HINT_BYTES);
    if (answer->may_have_arrived)
        buf_printf(&hint,
                   "The task may exist all the same; the same command with "
                   "--idempotency-key %s finds it or makes it.",
                   wish->idempotency_key);
    else
        buf_puts(&hint, answer->hint);
    bool is_interrupted = outcome == CLIENT_INTERRUPTED;
    const struct cli_error error = {
        .exit_status = client_exit(outcome),
        .code = answer->code[0] != '\0' && !is_interrupted ? answer->code : NULL,
        .hint = buf_text(&hint),
    };
    return cli_complain_error(&error, "%s", is_interrupted ? "interrupted" : answer->sentence);
}

static int run(struct client *client, const struct wish *wish)
{
    CLEANUP(client_answer_fini) struct client_answer answer;
    enum client_outcome outcome = send_wish(client, wish, &answer);
    if (outcome != CLIENT_OK)
        return explain(wish, outcome, &answer);
    const char *id = json_text(answer.json, "id");
    if (id == NULL || *id == '\0')
        return cli_complain(CLI_AWAY, "the answer of %s holds no task id", client_url(client));
    if (wish->wait)
        return finish(client, wish, id);
    print_result(wish, answer.json, id);
    return CLI_OK;
}

int create_main(int argc, char **argv)
{
    static const struct cli_options options = {COMMAND, ":m:i:wo:h", LONG_OPTIONS, HELP,
                                               take_option};
    struct wish wish = {0};
    int status;
    if (!cli_read_options(&options, argc, argv, &wish, &status))
        return status;
    status = check_wish(&wish, argc, argv);
    if (status != CLI_OK)
        return status;
    CLEANUP(buf_fini) struct buf text;
    status = read_input(&wish, &text);
    if (status == CLI_OK && wish.output != NULL)
        status = output_prepare(wish.output);
    if (status != CLI_OK)
        return status;
    char fresh[ID_TYPEID_SIZE];
    id_new("cli", fresh, sizeof(fresh));
    if (wish.idempotency_key == NULL)
        wish.idempotency_key = fresh;
    if (!is_idempotency_key(wish.idempotency_key))
        return cli_complain_usage(COMMAND, "an idempotency key is 1 to 255 printable characters");
    struct client *client = client_open(COMMAND, &wish.server);
    if (client == NULL)
        return CLI_USAGE;
    status = run(client, &wish);
    client_free(client);
    return status;
}

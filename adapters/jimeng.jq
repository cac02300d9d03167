# SPDX-License-Identifier: Apache-2.0
#
# Jimeng's videos over Volcengine's visual API: POST /?Action=CVSync2AsyncSubmitTask and POST
# /?Action=CVSync2AsyncGetResult, both signed with an access key (`key`, `secret`). What is made is said by `req_key`, and
# so is asked for again in each poll.
#
# Sources: documentation and copies of it (actions, fields, 121 and 241 frames, ratios, statuses, codes with their HTTP
# statuses, that a URL works for an hour and a task is known for twelve, that only videos that came are charged:
# documented); adapters of public gateways (which req_key goes with how many images, 50200, 50400: third-party).
#
# What it cannot do: cancel (there is no such action), references, tell progress, a negative prompt, a watermark,
# to be called back.
#
# Options: body: an object laid over the submit (template_id and camera_strength of jimeng_i2v_recamera_v30 …).

def about:
  { summary: "Jimeng's videos over Volcengine's visual API.",
    evidence: "third-party",
    base_url: "https://visual.volcengineapi.com",
    auth: {kind: "volcengine", service: "cv", region: "cn-north-1"},
    submit: {total_s: 60},
    poll: {first_s: 30, every_s: 5, longest_s: 60},
    result: {life_s: 3600, renews: true, auth: false},
    models:
      ( {durations: [5, 10], aspect_ratios: ["16:9", "4:3", "1:1", "3:4", "9:16", "21:9"]} as $usual
      | [ {name: "jimeng_v30", resolutions: ["720p"], images: {least: 0, most: 2}},
          {name: "jimeng_v30_1080p", resolutions: ["1080p"], images: {least: 0, most: 2}},
          {name: "jimeng_v30_pro", resolutions: ["1080p"], images: {least: 0, most: 1}},
          {name: "jimeng_ti2v_v30_pro", resolutions: ["1080p"], images: {least: 0, most: 1}},
          {name: "jimeng_*", images: {least: 0, most: 2}} ]
      | map($usual + .) )
  };

# ---- what is asked ----

# Names of ours for what is one model to a client: the req_key for no image, for a first frame, for a first and a last.
def families:
  { "jimeng_v30": ["jimeng_t2v_v30", "jimeng_i2v_first_v30", "jimeng_i2v_first_tail_v30"],
    "jimeng_v30_1080p":
      ["jimeng_t2v_v30_1080p", "jimeng_i2v_first_v30_1080", "jimeng_i2v_first_tail_v30_1080"],
    "jimeng_v30_pro": ["jimeng_ti2v_v30_pro", "jimeng_ti2v_v30_pro"] };

# How many images a req_key of its own wants, by its name; null: it does not say.
def images_of_key:
  if test("_t2v_") then [0]
  elif test("_first_tail_") then [2]
  elif test("_i2v_") then [1]
  elif test("_ti2v_") then [0, 1]
  else null
  end;

# The images in their order.
def frames: [first_image, last_image] | map(select(. != null));

# The input is that of submit; null where the family has none for so many images.
def req_key:
  (frames | length) as $count
  | families[.task.model] as $family
  | .task
  | .options.body.req_key // (if $family == null then .model else $family[$count] end);

def takes($count): images_of_key as $counts | $counts == null or ($counts | index([$count]) != null);

def why_not_shape:
  (frames | length) as $count
  | req_key as $key
  | frames_why_not({last: true, references: 0}) as $frames
  | if $frames != null then $frames
    elif $key == null then "\(.task.model) takes no last frame"
    elif $key | takes($count) | not then "\($key) is not for \($count) images"
    elif [.task.duration] | inside([5, 10]) | not then "this API makes 5 or 10 seconds, not \(.task.duration)"
    else null
    end;

def why_not: prompt_why_not(800) // why_not_shape;

# URLs or bytes, one of both for all of them.
def images_of($frames):
  .task.images as $images
  | if $frames == [] then {}
    elif $frames | all(.[]; $images[.].url | is_url) then
      {image_urls: ($frames | map(image(.; ["url"])))}
    else {binary_data_base64: ($frames | map(image(.; ["base64"])))}
    end;

# With an image the video takes its shape from that.
def create_body($key; $count):
  { req_key: $key,
    prompt: .prompt,
    frames: (24 * .duration + 1),
    aspect_ratio: (if $count == 0 then .aspect_ratio else null end),
    seed: .seed }
  | drop_nulls;

def action($name): {method: "POST", path: "/", query: {Action: $name, Version: "2022-08-31"}};

def submit:
  frames as $frames
  | req_key as $key
  | images_of($frames) as $images
  | refuse_or(why_not;
      action("CVSync2AsyncSubmitTask") + {json: with_body((.task | create_body($key; $frames | length)) + $images)});

# ---- how it is refused ----

# What is not here is judged by the HTTP status; with 200, nobody knows.
def kind_of_code:
  { "50200": "refused",                  # parameters
    "50400": "auth",                     # what this req_key stands for is not opened for the account
    "50411": "moderated", "50412": "moderated", "50413": "moderated", # what came in: an image, a text
    "50511": "moderated", "50512": "moderated", "50516": "moderated", "50517": "moderated", # what came out
    "50518": "moderated", "50519": "moderated", # copyright
    "50429": "busy",                     # calls a second
    "50430": "busy",                     # jobs at once
    "50500": "unknown", "50501": "unknown",
    "50520": "unknown", "50521": "unknown", "50522": "unknown" # the review itself failed
  };

def retry_of_code: {"50429": 2, "50430": 10};

# The service's own envelope; what is in front of it (signatures, rights) answers {ResponseMetadata: {Error: {Code, Message}}}.
def code_of: or_else(word_at("code"); word_at("ResponseMetadata.Error.Code"));

def message_of: text_at("message", "ResponseMetadata.Error.Message");

def is_ok: is_success and (.body | code_of) == "10000";

def jimeng_refusal:
  (.body | code_of) as $code
  | refusal(if $code == "10000" then "" else $code end; .body | message_of;
            kind_of_code[$code] // (.status | kind_of_status); retry_of_code[$code]);

def submitted:
  (.body | word_at("data.task_id")) as $job
  | if is_ok | not then jimeng_refusal
    elif $job == "" then no_job("task_id")
    else {job: $job, keep: {req_key: req_key}}
    end;

# ---- how it stands ----

# A job that failed is told with the HTTP status of its code, so all of them are heeded.
def poll:
  action("CVSync2AsyncGetResult")
  + {json: {req_key: (.keep.req_key // req_key), task_id: .job}, heed: ["5xx"]};

def state_of_word:
  { in_queue: "pending", processing: "rendering", generating: "rendering", done: "done",
    not_found: "gone", expired: "gone" };

def result: {state: "done", outputs: outputs_at("data.video_url")};

def jimeng_failed($kind):
  failed(or_else(.body | code_of; "http_\(.status)"); or_else(.body | message_of; "the job failed without a reason"); $kind);

# Calls a second, the account, its money: said to whoever asks, and nothing of the job.
def is_of_who_asks($code):
  (kind_of_code[$code] // (.status | kind_of_status)) as $kind
  | $kind == "busy" or $kind == "auth" or $kind == "quota";

# `done` says that there is nothing more to come, the code what came of it.
def polled:
  (.body | code_of) as $code
  | text_at("body.data.status") as $word
  | state_of_word[$word] as $state
  | if kind_of_code[$code] == "moderated" then jimeng_failed("moderated")
    elif $state == "done" and is_ok then .body | result
    elif $state == "done" and $code != "" and $code != "10000" and (is_of_who_asks($code) | not) then
      jimeng_failed("failed")
    elif is_ok | not then unclear_answer($code; .body | message_of)
    elif $state == null or $state == "done" then unknown_word("status"; $word)
    else {state: $state}
    end;

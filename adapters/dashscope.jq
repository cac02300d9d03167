# SPDX-License-Identifier: Apache-2.0
#
# Alibaba's Model Studio (DashScope): Wan, and what it hosts in Wan's form. POST …/video-synthesis, GET
# /api/v1/tasks/{id}, POST /api/v1/tasks/{id}/cancel. Each generation of models has a body of its own; `kinds` below is
# the list of them.
#
# Sources: the npm client @ai-sdk/alibaba on the wire (path, header, the bodies of 2.6, 2.7 and 3.0: wire); the vendor's
# documentation (words, UNKNOWN, cancel, 24 hours, prompts that are cut, codes: documented); readings of it by public
# gateways and clients (what each model makes, two frames of 2.2, happyhorse, how a cancel is refused: third-party).
#
# What it cannot do: tell progress; be called back (there is no such thing); sounds and videos as input. There is no
# field for an id of ours, so a lost answer stays unknown. A prompt beyond the vendor's length is refused, since the
# vendor would cut it.
#
# Options: kind: the name of a kind below, for a model that is in none ("wan2.7-i2v*"); body: an object laid over the
# request, into its `input` and `parameters` too ({parameters: {audio: false}}).

# ---- the kinds of models ----
#
# form: how images and the size are said. size: `size`, 1280*720; img_url: one frame; two_frames: both by name;
#   reference_urls: references with `size`; media: a list of all, with `resolution`, and `ratio` where it has ratios.
# frames: how many of first and last; references: how many; least: of images in all; framed: the ratio beside a frame;
# apart: frames or references.

def seconds($least; $most): {durations: {least: $least, most: $most}};
def tiers: {resolutions: ["480p", "720p", "1080p"]};
def high_tiers: {resolutions: ["720p", "1080p"]};
def ratios: {aspect_ratios: ["16:9", "9:16", "1:1", "4:3", "3:4"]};

def sizes_480: ["832x480", "480x832", "624x624"];
def sizes_720: ["1280x720", "720x1280", "960x960", "1088x832", "832x1088"];
def sizes_1080: ["1920x1080", "1080x1920", "1440x1440", "1632x1248", "1248x1632"];

def text_kind($form): {form: $form, frames: 0, references: 0, least: 0};
def frame_kind($form; $frames): {form: $form, frames: $frames, references: 0, least: 1};
def reference_kind($form; $references): {form: $form, frames: 0, references: $references, least: 1};

# The first that fits counts.
def kinds:
  [ {name: "wan3*", prompt: 20000, form: "media", frames: 2, references: 10, least: 0, apart: true, framed: "adaptive"}
      + seconds(2; 30) + tiers + ratios,
    {name: "wan2.7-t2v*", prompt: 5000} + text_kind("media") + seconds(2; 15) + high_tiers + ratios,
    {name: "wan2.7-i2v*", prompt: 5000} + frame_kind("media"; 2) + seconds(2; 15) + high_tiers,
    {name: "wan2.7-r2v*", prompt: 5000} + reference_kind("media"; 5) + {frames: 1} + seconds(2; 15) + high_tiers
      + ratios,
    {name: "happyhorse-1*-t2v*", prompt: 2500} + text_kind("media") + seconds(3; 15) + high_tiers + ratios,
    {name: "happyhorse-1*-i2v*", prompt: 2500} + frame_kind("media"; 1) + seconds(3; 15) + high_tiers,
    {name: "happyhorse-1*-r2v*", prompt: 2500} + reference_kind("media"; 9) + seconds(3; 15) + high_tiers + ratios,
    {name: "wan2.6-t2v*", prompt: 1500, sizes: (sizes_720 + sizes_1080)} + text_kind("size") + seconds(2; 15),
    {name: "wan2.6-r2v*", prompt: 1500, sizes: (sizes_720 + sizes_1080)} + reference_kind("reference_urls"; 5)
      + seconds(2; 10),
    {name: "wan2.6-i2v*", prompt: 1500} + frame_kind("img_url"; 1) + seconds(2; 15) + high_tiers,
    {name: "wan2.5-t2v*", prompt: 1500, durations: [5, 10], sizes: (sizes_480 + sizes_720 + sizes_1080)}
      + text_kind("size"),
    {name: "wan2.5-i2v*", prompt: 1500, durations: [5, 10]} + frame_kind("img_url"; 1) + tiers,
    {name: "wan2.2-t2v*", prompt: 800, durations: [5], sizes: (sizes_480 + sizes_1080)} + text_kind("size"),
    {name: "wan2.2-i2v-plus*", prompt: 800, durations: [5], resolutions: ["480p", "1080p"]} + frame_kind("img_url"; 1),
    {name: "wan2.2-i2v*", prompt: 800, durations: [5]} + frame_kind("img_url"; 1) + tiers,
    {name: "wan*2.1-t2v*", prompt: 800, durations: [5], sizes: (sizes_480 + sizes_720)} + text_kind("size"),
    {name: "wan*2.1-i2v*", prompt: 800, durations: [5], resolutions: ["480p", "720p"]} + frame_kind("img_url"; 1),
    {name: "wan*-kf2v*", prompt: 800, durations: [5]} + frame_kind("two_frames"; 2) + {least: 2} + tiers ];

def most_images: if .apart then [.frames, .references] | max else .frames + .references end;

def about:
  { summary: "Wan at Alibaba's Model Studio (DashScope).",
    evidence: "third-party",
    base_url: "https://dashscope-intl.aliyuncs.com",
    auth: {kind: "bearer"},
    submit: {total_s: 60},
    poll: {first_s: 20, every_s: 10, longest_s: 60},
    result: {life_s: 86400, renews: false, auth: false},
    cancel: {while: ["pending"]},
    models:
      (kinds
       | map(with_entries(select(.key | test("^(name|durations|sizes|resolutions|aspect_ratios)$")))
             + {images: {least: .least, most: most_images}}))
  };

# ---- what is asked ----

def pattern: "^" + (gsub("[.]"; "[.]") | gsub("[*]"; ".*")) + "$";

def kind_of_task:
  .task.model as $model
  | .task.options.kind as $kind
  | [kinds[] | select(if $kind == null then .name as $name | $model | test($name | pattern) else .name == $kind end)][0];

def negative_most: 500;

def why_not($kind):
  frames_why_not($kind | {last: (.frames > 1), references, apart}) as $frames
  | if $kind == null then
      "it is not known which body the model \(.task.model) takes: options.kind may say it"
    elif (.task.prompt | length) > $kind.prompt then
      "a prompt of this model has at most \($kind.prompt) characters: the vendor would cut it"
    elif (.task.negative_prompt // "" | length) > negative_most then
      "a negative prompt has at most \(negative_most) characters: the vendor would cut it"
    elif $kind.frames == 0 and first_image != null then "this model takes no first frame"
    elif $frames != null then $frames
    elif (.task.images | length) < $kind.least then "this model needs images: at least \($kind.least)"
    else null
    end;

def image_of($index): image($index; ["url", "data_uri"]);

def medium($index; $type): if $index == null then empty else {type: $type, url: image_of($index)} end;

def images_as($form):
  if $form == "img_url" then {img_url: image_of(first_image)}
  elif $form == "two_frames" then {first_frame_url: image_of(first_image), last_frame_url: image_of(last_image)}
  elif $form == "reference_urls" then {reference_urls: (reference_images | map(image(.; ["url"])))}
  elif $form == "media" then
    [medium(reference_images[]; "reference_image"), medium(first_image; "first_frame"), medium(last_image; "last_frame")]
    | if . == [] then {} else {media: .} end
  else {}
  end;

# Pixels or a tier; a ratio where there is no frame that gives it. A length that cannot be chosen is not named.
def shape_as($kind):
  (if first_image == null then .task.aspect_ratio else $kind.framed end) as $ratio
  | .task
  | {duration: (if $kind.durations == [5] then null else .duration end)}
    + if $kind.sizes != null then {size: "\(.width)*\(.height)"}
      else {resolution: (.resolution | ascii_upcase), ratio: $ratio}
      end;

def create_body($kind):
  images_as($kind.form) as $images
  | shape_as($kind) as $shape
  | .task
  | { model: .model,
      input: ({prompt: .prompt, negative_prompt: .negative_prompt} + $images),
      parameters: ($shape + {seed: .seed, watermark: .watermark, prompt_extend: .enhance_prompt}) }
  | drop_nulls;

def path_of($kind):
  "/api/v1/services/aigc/\(if $kind.form == "two_frames" then "image2video" else "video-generation" end)/video-synthesis";

def submit:
  kind_of_task as $kind
  | refuse_or(why_not($kind);
      { method: "POST",
        path: path_of($kind),
        headers: {"X-DashScope-Async": "enable"},
        json: with_body(create_body($kind)) });

# ---- how it is refused ----

# The codes that mean something else than their HTTP status.
def kind_of_code:
  { "Model.AccessDenied": "refused",      # of this model: the credential is fit for others
    Arrearage: "quota", PrepaidBillOverdue: "quota", PostpaidBillOverdue: "quota", CommodityNotPurchased: "quota",
    "AllocationQuota.FreeTierOnly": "quota",
    DataInspectionFailed: "moderated", IPInfringementSuspect: "moderated" };

def code_of: text_at("code", "error.code");

def kind_of_refusal($code):
  if .status >= 400 and .status < 500 then kind_of_code[$code] // (.status | kind_of_status) else "unknown" end;

def submitted:
  (.body | code_of) as $code
  | job_or("task"; .body | text_at("output.task_id"); refusal($code; .body | text_of; kind_of_refusal($code)));

# ---- how it stands ----

def task_path: "/api/v1/tasks/\(.job | @uri)";

def poll: {method: "GET", path: task_path};

# UNKNOWN: there is no such task, or not any more; with status 200.
def state_of_word:
  { PENDING: "pending", RUNNING: "rendering", SUCCEEDED: "done", FAILED: "failed", CANCELED: "cancelled",
    UNKNOWN: "gone" };

# The input is the whole body: usage stands beside output.
def usage_of: at("usage") | if type == "object" then numbers_and_texts else null end;

def failure:
  text_at("output.code") as $code
  | failed(or_else($code; "task_failed"); or_else(text_at("output.message"); "the task failed without a reason");
           if kind_of_code[$code] == "moderated" then "moderated"
           elif $code | test("^Invalid") then "refused"
           else "failed"
           end);

def result:
  {state: "done", outputs: outputs_at("output.video_url"), enhanced_prompt: texts("output.actual_prompt")[0]} | present;

def verdict: with_usage(usage_of; by_word("output.task_status"; state_of_word; result; failure));

def polled: if_named("output.task_id"; polled_by(code_of; text_of; verdict));

# ---- cancel: of what waits alone ----

def cancel: if .state == "pending" then {method: "POST", path: "\(task_path)/cancel"} else null end;

# 400 UnsupportedOperation: it does not wait any more.
def cancelled:
  { state:
      (if is_page then "unclear"
       elif is_success and (.body | code_of) == "" then "cancelled"
       elif .status == 404 then "finished"
       elif .status == 400 and (.body | code_of) == "UnsupportedOperation" then "refused"
       else "unclear"
       end)
  };

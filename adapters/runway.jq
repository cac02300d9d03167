# SPDX-License-Identifier: Apache-2.0
#
# Runway's API: POST /v1/text_to_video, /v1/image_to_video or /v1/video_to_video, GET /v1/tasks/{id}, DELETE
# /v1/tasks/{id}. It serves Runway's own models and those of others; each takes fields of its own.
#
# Sources: the vendor's npm client on the wire (paths, key, version header, cancel: wire) and its types (models, their
# fields and sizes, status words, cost, renewed links: sdk); documentation (errors, failure codes: documented); an
# issue of that client (what a request without credits is told: third-party).
#
# What it cannot do: upload files first (an image goes as its https URL or as a data URI, which the vendor takes up to
# 5 MB), choose the job's id, tell a deleted task from a cancelled one: the vendor's DELETE stops what is under way
# and deletes what has ended, with the same answer.
#
# Options: body: an object laid over the request (audio, contentModeration, outputFormat …). A client's `video_url`
# (https) is the video of the models that edit one.

def about:
  def sizes($pairs): $pairs | split(" ");
  def pixels: sizes("1280x720 720x1280 1920x1080 1080x1920");
  def classic: sizes("1280x720 720x1280 1104x832 832x1104 960x960 1584x672");
  def small: sizes("992x432 864x496 752x560 640x640 560x752 496x864 1470x630 1112x834 960x960 834x1112")
             + sizes("1280x720 720x1280");
  def large: sizes("2206x946 1920x1080 1664x1248 1440x1440 1248x1664 1080x1920");
  { summary: "Runway's API: its own video models and those of others.",
    evidence: "third-party",
    base_url: "https://api.dev.runwayml.com",
    auth: {kind: "bearer"},
    submit: {total_s: 60},
    poll: {first_s: 20, every_s: 5, longest_s: 60},
    result: {life_s: 86400, renews: true, auth: false},
    cancel: {while: ["pending", "rendering"]},
    models:
      [ {name: "gen4.5", durations: {least: 2, most: 10}, sizes: sizes("1280x720 720x1280"),
         images: {least: 0, most: 1}},
        {name: "gen4_turbo", durations: {least: 2, most: 10}, sizes: classic, images: {least: 1, most: 1}},
        {name: "veo3.1*", durations: [4, 6, 8], sizes: pixels, images: {least: 0, most: 2}},
        {name: "seedance2_5", images: {least: 0, most: 30},
         sizes: (small - ["864x496", "496x864"] + ["854x480", "480x854"] + large)},
        {name: "seedance2", images: {least: 0, most: 9},
         sizes: (small + large + sizes("3840x1646 3840x2160 3840x2880 3840x3840 2880x3840 2160x3840"))},
        {name: "seedance2_*", sizes: small, images: {least: 0, most: 9}},
        {name: "gemini_omni_flash", durations: {least: 3, most: 10}, sizes: sizes("1280x720 720x1280"),
         images: {least: 0, most: 1}},
        {name: "gemini_omni_flash_1.1", durations: {least: 3, most: 10}, images: {least: 0, most: 2},
         sizes: (sizes("640x360 360x640") + pixels + sizes("3840x2160 2160x3840"))},
        {name: "hailuo3", aspect_ratios: ["21:9", "16:9", "4:3", "1:1", "3:4", "9:16"], resolutions: ["768p", "2k"],
         images: {least: 0, most: 9}},
        {name: "h3_max", resolutions: ["480p", "768p"], images: {least: 0, most: 2}},
        {name: "grok_imagine_1_5", aspect_ratios: ["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"],
         resolutions: ["480p", "720p", "1080p"]},
        {name: "happyhorse_1_0", images: {least: 0, most: 1},
         sizes: (pixels + sizes("960x960 1108x832 832x1108 1440x1440 1662x1248 1248x1662"))},
        {name: "wan3*", images: {least: 0, most: 10},
         sizes: (pixels + sizes("832x480 720x544 624x624 544x720 480x832 1104x832 960x960 832x1104 1648x1248 1440x1440")
                 + ["1248x1648"])} ]
  };

# ---- what a model takes ----

# prompt: its longest; ratio: `WxH` is `W:H` unless it says otherwise; with_image: what is otherwise with one; video:
# the field of the video that it edits. Of a model that is not here nothing is known: it gets what all of them take.
def traits_of_model:
  def seedance($prompt): {prompt: $prompt, seed: true, last: true, references: true, video: "promptVideo"};
  { "gen4.5": {prompt: 1000, seed: true},
    "gen4_turbo": {prompt: 1000, seed: true, needs_image: true},
    "aleph2": {seed: true, ratio: "none", untimed: true, video: "videoUri", needs_video: true},
    "veo3.1": {prompt: 1000, seed: true, negative: true, last: true},
    "veo3.1_fast": {prompt: 1000, seed: true, negative: true, last: true},
    "seedance2": seedance(3500), "seedance2_fast": seedance(3500), "seedance2_mini": seedance(3500),
    "seedance2_5": seedance(15000),
    "hailuo3": {ratio: "aspect", resolution: "said", last: true, references: true, video: "promptVideo"},
    "h3_max": {ratio: "none", resolution: "said", seed: true, last: true},
    "gemini_omni_flash": {video: "videoUri", with_video: {ratio: "none", untimed: true}},
    "gemini_omni_flash_1.1": {last: true, video: "videoUri"},
    "grok_imagine_1_5": {ratio: "aspect", resolution: "said", references: true, with_image: {ratio: "none"}},
    "happyhorse_1_0": {prompt: 2500, with_image: {ratio: "none", resolution: "of_size"}},
    "wan3": {last: true, references: true, with_image: {ratio: "auto"}},
    "wan3_prime": {last: true, references: true, with_image: {ratio: "auto"}}
  };

def video_url: .task.extra.video_url;

# Of the input of submit.
def traits:
  (traits_of_model[.task.model] // {}) as $traits
  | $traits
  + (if video_url != null then $traits.with_video // {}
     elif first_image != null then $traits.with_image // {}
     else {}
     end);

# The vendor counts UTF-16 units.
def units: reduce explode[] as $point (0; . + (if $point > 65535 then 2 else 1 end));

def why_not($traits):
  (reference_images | length) as $references
  | frames_why_not({last: true, apart: true}) as $frames
  | if video_url == null and $traits.needs_video == true then "\(.task.model) edits a video: it needs a video_url"
    elif video_url != null and $traits.video == null then "\(.task.model) edits no video"
    elif video_url != null and (video_url | type != "string" or (test("^https://"; "i") | not)) then
      "video_url must be an https URL"
    elif video_url != null and (first_image != null or last_image != null) then
      "a video is edited without a first or a last frame"
    elif $traits.needs_image == true and first_image == null then "\(.task.model) needs a first image"
    elif (.task.prompt | units) > ($traits.prompt // 100000) then
      "a prompt of \(.task.model) has at most \($traits.prompt) characters"
    elif last_image != null and $traits.last != true then "\(.task.model) has no last frame"
    elif $references > 0 and $traits.references != true then "this adapter sends \(.task.model) no references"
    else $frames
    end;

# ---- what is asked ----

# The vendor fetches https alone; of other URLs filmgate sends the bytes.
def image_of($index):
  if .task.images[$index].url // "" | test("^http:"; "i") then image($index; ["data_uri"])
  else image($index; ["url", "data_uri"])
  end;

def prompt_image:
  if first_image == null then null
  elif last_image == null then image_of(first_image)
  else [{uri: image_of(first_image), position: "first"}, {uri: image_of(last_image), position: "last"}]
  end;

def references:
  if (reference_images | length) == 0 then null else [reference_images[] as $index | {uri: image_of($index)}] end;

def class_of_size:
  (.width * .height) as $area | if $area < 500000 then "480p" elif $area < 1000000 then "720p" else "1080p" end;

def ratio($form):
  if $form == "none" then null
  elif $form == "aspect" then .aspect_ratio
  elif $form == "auto" then "auto_\(class_of_size)"
  else "\(.width):\(.height)"
  end;

def resolution($form): if $form == "said" then .resolution elif $form == "of_size" then class_of_size else null end;

def create_body($traits):
  {promptImage: prompt_image, references: references} as $images
  | video_url as $video
  | .task
  | { model: .model,
      promptText: .prompt,
      negativePrompt: (if $traits.negative == true then .negative_prompt else null end),
      ratio: ratio($traits.ratio),
      resolution: resolution($traits.resolution),
      duration: (if $traits.untimed == true then null else .duration end),
      seed: (if $traits.seed == true then .seed else null end) }
  + $images
  + (if $video == null then {} else {($traits.video): $video} end)
  | drop_nulls;

def path:
  if video_url != null then "video_to_video"
  elif first_image != null then "image_to_video"
  else "text_to_video"
  end;

# Every request names the version of the API.
def request($method; $path): {method: $method, path: $path, headers: {"X-Runway-Version": "2024-11-06"}};

def submit:
  traits as $traits
  | refuse_or(why_not($traits);
      request("POST"; "/v1/\(path)") + {json: with_body(create_body($traits))});

# ---- how it is refused ----

# Beyond the account's tasks at once a task is taken, and THROTTLED; 429 is the day's limit. 502 to 504 say that the
# vendor sheds load, not that nothing was taken.
def kind_of_refusal:
  if .status == 400 and (.body | text_of | test("enough credits"; "i")) then "quota" else .status | kind_of_status end;

def submitted: job_or("task"; texts("body.id")[0]; refusal(""; .body | text_of; kind_of_refusal));

# ---- how it stands ----

def poll: request("GET"; "/v1/tasks/\(.job | @uri)");

def state_of_word:
  { PENDING: "pending",
    THROTTLED: "pending", # taken, and waiting for the account's own limit
    RUNNING: "rendering",
    SUCCEEDED: "done",
    FAILED: "failed",
    CANCELLED: "cancelled"
  };

def kind_of_failure:
  if test("(^|\\.)SAFETY(\\.|$)") then "moderated"
  elif test("^ASSET\\.INVALID(\\.|$)|(^|\\.)INPUT_VALIDATION(\\.|$)") then "refused"
  else "failed"
  end;

# Told of every end.
def credits: at("cost.credits") | if type == "number" then {cost: {credits: .}} else null end;

def failure:
  or_else(text_at("failureCode"); "task_failed") as $code
  | failed($code; or_else(text_at("failure"); "the task failed without a reason"); $code | kind_of_failure);

def progress: at("progress") | if type == "number" and . >= 0 and . <= 1 then . else null end;

def outputs: [at("output") | arrays | .[] | select(is_url) | {url: .}];

def verdict:
  progress as $progress
  | with_usage(credits; by_word("status"; state_of_word; {state: "done", outputs: outputs}; failure))
  | if .state == "rendering" then . + {progress: $progress} | present else . end;

# A task that was deleted is not found any more.
def polled: if_named("id"; polled_by(verdict));

# ---- cancel: step 0 looks at it, step 1 stops it ----

# What has ended is deleted by the same DELETE, its video with it, and answered in the same way: so it is not sent for that.
def cancel: request(if .step == 0 then "GET" else "DELETE" end; "/v1/tasks/\(.job | @uri)");

def cancel_looked:
  .keep as $keep
  | polled
  | if .state == "pending" or .state == "rendering" then {next: true, keep: $keep}
    elif .state == "cancelled" then {state, usage} | drop_nulls
    elif .state == "done" or .state == "failed" or .state == "gone" then {state: "finished"}
    else {state: "unclear"}
    end;

def delete_answered:
  { state:
      (if is_page then "unclear"
       elif is_success then "cancelled"
       elif .status == 404 then "finished"
       elif .status == 400 or .status == 409 then "refused"
       else "unclear"
       end)
  };

def cancelled: if .step == 0 then cancel_looked else delete_answered end;

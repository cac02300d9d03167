# SPDX-License-Identifier: Apache-2.0
#
# Kling's legacy API: POST /v1/videos/text2video or /v1/videos/image2video, GET the same path with the task's id. A
# credential is an access key (`key`) with its secret (`secret`), signed as a JWT; a plain API key goes without
# `secret`.
#
# Sources: adapters of public gateways and a dated note that read the vendor's pages (paths, bodies, codes:
# third-party); documentation (results kept for 30 days, no cancel, back-off of 1303: documented); a third-party npm
# client.
#
# What it cannot do: cancel (there is no such endpoint), the omni models and references (another path and another
# body), tell progress. external_task_id carries our attempt's id: an operator finds the task by it in the vendor's
# console; the vendor does not call it a key against doubles, so a lost answer stays unknown.
#
# Options: mode: std | pro (default: pro from 1080p on); body: an object laid over the request (cfg_scale, sound,
# camera_control …).

def about:
  { summary: "Kling's legacy API, text or image to video.",
    evidence: "third-party",
    base_url: "https://api-singapore.klingai.com",
    auth: {kind: "jwt_hs256"},
    callback: true,
    submit: {total_s: 60},
    poll: {first_s: 30, every_s: 5, longest_s: 60},
    result: {life_s: 2592000, renews: false, auth: false},
    models:
      [ {name: "kling-v3*", durations: {least: 3, most: 15}, aspect_ratios: ["16:9", "9:16", "1:1"],
         resolutions: ["720p", "1080p"], images: {least: 0, most: 2}},
        {name: "kling-*", durations: [5, 10], aspect_ratios: ["16:9", "9:16", "1:1"],
         resolutions: ["720p", "1080p"], images: {least: 0, most: 2}} ]
  };

# ---- what is asked ----

def why_not:
  if .task.model | test("omni|video-o1") then "this model is served by another path than text2video and image2video"
  elif (reference_images | length) > 0 then "this adapter sends a first and a last frame, no references"
  else prompt_why_not(2500) // frames_why_not({last: true, references: 0})
  end;

# Bare base64, without `data:` before it.
def image_of($index): image($index; ["url", "base64"]);

def mode_of_resolution: {"1080p": "pro", "1440p": "pro", "2160p": "pro", "4k": "pro"};

def mode_of: .options.mode // mode_of_resolution[.resolution] // "std";

def path_of: if (.images | length) == 0 then "/v1/videos/text2video" else "/v1/videos/image2video" end;

# With an image the video takes its shape from that.
def create_body($first; $last):
  { model_name: .model,
    prompt: .prompt,
    negative_prompt: .negative_prompt,
    mode: mode_of,
    duration: (.duration | tostring),
    aspect_ratio: (if $first == null then .aspect_ratio else null end),
    image: image_of($first),
    image_tail: image_of($last),
    watermark_info: (if .watermark == null then null else {enabled: .watermark} end),
    external_task_id: .attempt,
    callback_url: .callback }
  | drop_nulls;

def submit:
  first_image as $first
  | last_image as $last
  | refuse_or(why_not;
      {method: "POST", path: (.task | path_of), json: with_body(.task | create_body($first; $last))});

def submitted:
  word_at("body.data.task_id") as $job
  | if kling_is_ok | not then kling_refusal
    elif $job == "" then no_job("task_id")
    else {job: $job, keep: {path: (.task | path_of)}}
    end;

# ---- how it stands ----

def poll: {method: "GET", path: "\(.keep.path // (.task | path_of))/\(.job | @uri)"};

def state_of_word: {submitted: "pending", processing: "rendering", succeed: "done", failed: "failed"};

def usage_of: at("final_unit_deduction") | if . == null then null else {final_unit_deduction: .} end;

def failure: kling_failed(text_at("task_status_msg"));

def result: {state: "done", outputs: outputs_at("task_result.videos.0.url")};

def verdict: with_usage(usage_of; by_word("task_status"; state_of_word; result; failure));

def polled:
  if is_not_found then {state: "gone"}
  elif kling_is_ok | not then unclear_answer(.body | kling_code; .body | text_of)
  else if_named("data.task_id"; .body.data | verdict)
  end;
